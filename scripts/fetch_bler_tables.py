"""Write edgesim/data/nr_bler.npz from the tables that Sionna ships, as plain arrays.

Usage: ``python scripts/fetch_bler_tables.py`` where ``sionna-no-rt`` is installed; only its data files are
read, neither sionna nor torch is imported. The file comes out the same, to the byte, for the same version
of the package.
"""

from __future__ import annotations

import io
import json
import zipfile
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

import numpy as np

TARGET = Path(__file__).resolve().parents[1] / "edgesim" / "data" / "nr_bler.npz"
VERSION = "2.2.0"
PDSCH = "1"  # Sionna's category of the downlink shared channel; 0 is the uplink with transform precoding


def arrays(table: int, folder: Path) -> dict[str, np.ndarray]:
    document = json.loads((folder / f"PDSCH_table{table}.json").read_text(encoding="utf-8"))
    rows = document["category"][PDSCH]["index"][str(table)]["MCS"]
    mcs = sorted(int(index) for index in rows)
    snr_db = rows[str(mcs[0])]["SNR_db"]
    sizes = [int(size) for size in rows[str(mcs[0])]["CBS"]]
    for index in mcs:
        row = rows[str(index)]
        if row["SNR_db"] != snr_db or [int(size) for size in row["CBS"]] != sizes:
            raise SystemExit(f"table {table}, MCS {index}: another grid than MCS {mcs[0]} has")
    bler = [[rows[str(index)]["CBS"][str(size)]["BLER"] for size in sizes] for index in mcs]
    return {
        f"table{table}_mcs": np.array(mcs, dtype=np.int16),
        f"table{table}_snr_db": np.array(snr_db, dtype=np.float64),
        f"table{table}_code_block_bits": np.array(sizes, dtype=np.int16),
        f"table{table}_bler": np.array(bler, dtype=np.float32),  # [mcs, code block size, SNR]
    }


def main() -> None:
    found = distribution("sionna-no-rt").version
    if found != VERSION:
        raise SystemExit(f"sionna-no-rt is {found}; the tables were checked with {VERSION}")
    spec = find_spec("sionna")
    if spec is None or spec.origin is None:
        raise SystemExit("sionna is not installed: pip install sionna-no-rt==" + VERSION)
    folder = Path(spec.origin).parent / "sys" / "bler_tables"
    with zipfile.ZipFile(TARGET, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for table in (1, 2, 3):
            for name, array in arrays(table, folder).items():
                buffer = io.BytesIO()
                np.save(buffer, array)
                entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, buffer.getvalue())
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
