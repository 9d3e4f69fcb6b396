"""Radio environment of one replication: positions of devices, channels and cells."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path as FilePath

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.radio.access.duplex import Duplex
from edgesim.radio.access.resource_grid import ResourceGrid
from edgesim.radio.access.wifi_mac import WifiMac
from edgesim.radio.adaptation.nr_carrier import slot_s
from edgesim.radio.adaptation.outer_loop import Adapting, settled_offset_db
from edgesim.radio.channel.csi import ImperfectCsi, amplitude_correlation
from edgesim.radio.channel.fading import BlockFading, Fading, JakesFading, coherence_s, doppler_hz
from edgesim.radio.channel.fading_by_line_of_sight import FadingByLineOfSight
from edgesim.radio.channel.fading_law import FadingLaw, NoFading, Rayleigh, Rician
from edgesim.radio.channel.large_scale import LargeScale
from edgesim.radio.channel.mimo import RicianMatrices
from edgesim.radio.channel.path_loss.environment import PathLoss
from edgesim.radio.collective.aircomp_impairments import Synchronisation
from edgesim.radio.collective.band import CollectiveBand, Member
from edgesim.radio.motion.handover import ServingCell
from edgesim.radio.motion.mobility import Static, Track
from edgesim.radio.radio_link import RadioLink
from edgesim.rng import key_of, keyed_normals, link_key
from edgesim.scenario.catalogue import radio_kind
from edgesim.scenario.radio.adaptation import adaptation, duplex_of, medium_access, resource_grid
from edgesim.scenario.schema.radio import FadingEntry, InterferenceEntry, PropagationEntry
from edgesim.scenario.schema.radio_kinds import RadioFigures
from edgesim.scenario.schema.topology import LinkEntry
from edgesim.scenario.topology.topology import AirLink, Layout
from edgesim.world.link import Link
from edgesim.world.medium import FirstSlot, Medium, RadioChannel
from edgesim.world.roaming import Roaming

__all__ = ["Air", "tracks"]

LEAST_BPS = 1.0  # nominal rate given to planners for a link that is out of range on average


def tracks(layout: Layout, *, seed: int, replication: int, folder: FilePath) -> dict[str, Track]:
    """Return the position over time of every device and switch that has one, by id.

    Raises
    ------
    InputError
        If a recorded track cannot be read.
    """
    found: dict[str, Track] = {
        node.id: Static(node.place_m) for node in layout.nodes.values() if node.place_m is not None
    }
    groups: dict[str, tuple[str, ...]] = {}
    for node in layout.nodes.values():
        if node.entry is not None and node.entry.mobility is not None:
            groups[node.group] = layout.members(node.group)
    for ids in groups.values():
        entry = layout.nodes[ids[0]].entry
        assert entry is not None
        assert entry.mobility is not None
        found |= entry.mobility.tracks(
            ids, seed=seed, replication=replication, folder=folder, others=layout.nodes.keys()
        )
    return found


class Air:
    """The radio links of one replication.

    Every channel is a function of (seed, replication, link, time), and thus the same under every strategy.
    Shadowing and line of sight are drawn per station, so that nearby terminals have the same shadowing;
    fading is drawn per pair.

    Parameters
    ----------
    layout
        The scenario's topology.
    where
        Positions of its devices over time: see :func:`tracks`.
    """

    def __init__(self, layout: Layout, where: Mapping[str, Track], *, seed: int, replication: int) -> None:
        self._layout, self._where = layout, where
        self._seed, self._replication = seed, replication
        self._interfaces: dict[int, Adapting] = {}
        self._offsets_db: dict[tuple[int, float], float] = {}
        self._channels: dict[tuple[str, str], RadioLink] = {}

    def figures(self, leg: AirLink) -> RadioFigures:
        """Return the figures of a link's radio."""
        assert leg.entry.radio is not None
        return radio_kind(leg.entry.radio.use).figures(leg.entry.radio)

    def link(self, leg: AirLink) -> RadioLink:
        """Return a link's channel."""
        figures, entry = self.figures(leg), leg.entry
        propagation = self._propagation(entry)
        large = self._large_scale(leg, figures, propagation)
        fades = FadingEntry() if entry.fading is None else entry.fading
        down = self._fading(leg, figures, fades, large, propagation.value(), "fading")
        up = None
        if figures.duplex == "fdd":  # two carriers fade independently
            up = self._fading(leg, figures, fades, large, propagation.value(), "uplink fading")
        return RadioLink(
            large,
            terminal=figures.terminal,
            station=figures.station,
            air=self._interface(entry, figures),
            bandwidth_hz=figures.bandwidth_hz,
            fading=down,
            uplink_fading=up,
            csi=self._estimation(leg, down, "csi"),
            uplink_csi=None if up is None else self._estimation(leg, up, "uplink csi"),
            outer_offset_db=self._offset_db(leg, figures, fades),
        )

    def _estimation(self, leg: AirLink, fading: Fading, purpose: str) -> ImperfectCsi | None:
        """Return the transmitter's channel state information for a direction; None if perfect."""
        csi = leg.entry.csi
        if csi is None:
            return None
        key = link_key(self._seed, self._replication, leg.terminal, leg.station, purpose)
        return ImperfectCsi(fading, key, error=csi.error, delay_s=csi.delay_s, period_s=csi.period_s)

    def _offset_db(self, leg: AirLink, figures: RadioFigures, fades: FadingEntry) -> float:
        """Return the settled offset of the outer-loop link adaptation [dB]; 0 with perfect CSI."""
        csi = leg.entry.csi
        if csi is None:
            return 0.0
        shift_hz = doppler_hz(self._fades_at_m_per_s(leg, fades), figures.carrier_hz)
        correlation = amplitude_correlation(csi.error, shift_hz, csi.delay_s) ** 2
        known = (id(leg.entry), correlation)
        if known not in self._offsets_db:
            interface = self._interface(leg.entry, figures)
            self._offsets_db[known] = settled_offset_db(interface, figures.bandwidth_hz, correlation)
        return self._offsets_db[known]

    def links(self) -> tuple[Link, ...]:
        """Return the world's radio links, with their channels and cells."""
        return tuple(self._world_link(leg) for leg in self._layout.air)

    def media(self) -> dict[str, Medium]:
        """Return the world's cells, one per station and radio, by name."""
        cells: dict[str, AirLink] = {}
        for leg in self._layout.air:
            cells.setdefault(self._cell(leg), leg)
        return {name: self._medium(name, leg) for name, leg in cells.items()}

    def bands(self) -> dict[str, CollectiveBand]:
        """Return the bands reserved for sums, by station; their width is that of a station's first entry."""
        legs: dict[str, list[AirLink]] = {}
        for leg in self._layout.air:
            if leg.entry.over_the_air is not None:
                legs.setdefault(leg.station, []).append(leg)
        return {station: self._band(station, own) for station, own in legs.items()}

    def roaming(self) -> dict[str, Roaming]:
        """Return the roaming of terminals with links to several stations, by terminal."""
        legs: dict[str, list[AirLink]] = {}
        for leg in self._layout.air:
            legs.setdefault(leg.terminal, []).append(leg)
        return {terminal: self._roams(own) for terminal, own in legs.items() if len(own) > 1}

    def propagation(self, leg: AirLink) -> str:
        """Return the name of a link's propagation model."""
        return self._propagation(leg.entry).model

    def neighbours(self, leg: AirLink) -> tuple[RadioLink, ...]:
        """Return the channels between a terminal and the other interfering stations of its band."""
        carrier_hz = self.figures(leg).carrier_hz
        found: dict[str, RadioLink] = {}
        for other in self._layout.air if leg.entry.interference else ():
            shares_band = other.entry.interference and self.figures(other).carrier_hz == carrier_hz
            if shares_band and other.station not in (leg.station, *found):
                found[other.station] = self._channel(replace(other, terminal=leg.terminal))
        return tuple(found.values())

    def medium(self, leg: AirLink) -> Medium:
        """Return a link's cell."""
        return self._medium(self._cell(leg), leg)

    def mac(self, leg: AirLink) -> WifiMac:
        """Return a link's Wi-Fi medium access; defaults for other radios."""
        assert leg.entry.radio is not None
        return medium_access(leg.entry.radio, self.figures(leg))

    def _channel(self, leg: AirLink) -> RadioLink:
        ends = (leg.terminal, leg.station)
        if ends not in self._channels:
            self._channels[ends] = self.link(leg)
        return self._channels[ends]

    def _world_link(self, leg: AirLink) -> Link:
        channel, figures = self._channel(leg), self.figures(leg)
        assert leg.entry.radio is not None
        grid, mac = resource_grid(leg.entry.radio, figures), self.mac(leg)
        open_to: Duplex | ResourceGrid = duplex_of(figures) if grid is None else grid
        gross_bps = {uplink: channel.mean_goodput_bps(uplink=uplink) for uplink in (True, False)}
        weaker_bps, access_s, first_slot = min(gross_bps.values()), 0.0, None
        if figures.access == "dcf":
            nominal_bps, access_s = mac.alone_bps(weaker_bps), mac.least_s(max(weaker_bps, LEAST_BPS))
        else:
            nominal_bps = min(rate_bps * open_to.share(uplink=up) for up, rate_bps in gross_bps.items())
        if grid is not None:
            first_slot = FirstSlot(
                up_s=grid.mean_wait_s(uplink=True),
                down_s=grid.mean_wait_s(uplink=False),
                n_bits=weaker_bps * grid.slot_s,
            )
        return Link(
            between=(leg.terminal, leg.station),
            rate_bps=max(nominal_bps, LEAST_BPS),
            latency_s=figures.latency_s,
            access_s=access_s,
            radio=RadioChannel(
                link=channel,
                terminal=leg.terminal,
                station=leg.station,
                medium=self._cell(leg),
                key=link_key(self._seed, self._replication, leg.terminal, leg.station, "attempts"),
                weight=leg.entry.weight,
                request_key=link_key(
                    self._seed, self._replication, leg.terminal, leg.station, "scheduling request"
                ),
                first_slot=first_slot,
                mac=mac,
            ),
        )

    def _band(self, station: str, legs: list[AirLink]) -> CollectiveBand:
        entry = legs[0].entry.over_the_air
        assert entry is not None
        figures = self.figures(legs[0])
        entries = [leg.entry.over_the_air for leg in legs]
        if any(
            own is None or own.band != entry.band or self.figures(leg).bandwidth_hz != figures.bandwidth_hz
            for own, leg in zip(entries, legs, strict=True)
        ):
            raise InputError(
                f"links of {station!r} disagree on 'over_the_air', or on their radio's bandwidth; expected "
                "one band for each station: write the same in all of its entries, except for 'rician_k'"
            )
        fades = FadingEntry() if legs[0].entry.fading is None else legs[0].entry.fading
        speed_m_per_s = max(self._fades_at_m_per_s(leg, fades) for leg in legs)
        members = {}
        for leg, own in zip(legs, entries, strict=True):
            k_db = -math.inf if own is None or own.rician_k_db is None else own.rician_k_db
            key = link_key(self._seed, self._replication, leg.terminal, leg.station, "matrices")
            matrices = RicianMatrices(
                key=key, n_receive=entry.antennas.station, n_transmit=entry.antennas.terminal, k_db=k_db
            )
            errors = None
            if entry.csi_error > 0:
                key = link_key(self._seed, self._replication, leg.terminal, leg.station, "estimates")
                errors = replace(matrices, key=key, k_db=-math.inf)
            members[leg.terminal] = Member(link=self._channel(leg), matrices=matrices, errors=errors)
        return CollectiveBand(
            station=station,
            bandwidth_hz=entry.bandwidth_hz or figures.bandwidth_hz,
            lost_share=entry.lost_share,
            n_streams=entry.n_streams,
            coherence_s=entry.coherence_s or coherence_s(speed_m_per_s, figures.carrier_hz),
            members=members,
            csi_error=entry.csi_error,
            synchronisation=Synchronisation(
                phase_std_rad=entry.synchronisation.phase, timing=entry.synchronisation.timing
            ),
        )

    def _cell(self, leg: AirLink) -> str:
        assert leg.entry.radio is not None
        return f"{leg.station}/{leg.entry.radio.use}"

    def _medium(self, name: str, leg: AirLink) -> Medium:
        figures = self.figures(leg)
        shares_band = leg.entry.interference
        band = f"{figures.carrier_hz:g}" if shares_band else None
        across = {}
        if shares_band:
            for other in self._layout.air:
                if other.entry.interference and self.figures(other).carrier_hz == figures.carrier_hz:
                    across[other.terminal] = self._channel(replace(other, station=leg.station))
        radio = leg.entry.radio
        assert radio is not None
        medium = Medium(
            name=name,
            access=figures.access,
            duplex=duplex_of(figures),
            band=band,
            across=across,
            load=shares_band.load if isinstance(shares_band, InterferenceEntry) else None,
            window=float(radio.fairness_window),
            give_up_s=radio.patience_s,
            key=key_of(self._seed, self._replication, name, "backoff"),
        )
        if figures.subcarrier_spacing_hz is not None:
            return replace(
                medium,
                slot_s=slot_s(figures.subcarrier_spacing_hz),
                grid=resource_grid(radio, figures),
            )
        return medium

    def _roams(self, legs: list[AirLink]) -> Roaming:
        channels = {leg.station: self._channel(leg) for leg in legs}
        rule = next((leg.entry.handover for leg in legs if leg.entry.handover is not None), None)

        def measure(cell: str, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
            channel = channels[cell]
            return channel.mean_received_dbm(0.0) + (
                channel.large_scale.at(0.0).total_db - channel.large_scale.total_db(times_s)
            )

        moves = any(self._where[id_].moves for id_ in (legs[0].terminal, *channels))
        serving = ServingCell(measure, tuple(channels), None if rule is None else rule.rule(), moves=moves)
        return Roaming(serving=serving, in_flight="keep" if rule is None else rule.in_flight)

    def _propagation(self, entry: LinkEntry) -> PropagationEntry:
        assert entry.radio is not None
        return entry.propagation or radio_kind(entry.radio.use).propagation

    def _large_scale(self, leg: AirLink, figures: RadioFigures, entry: PropagationEntry) -> LargeScale:
        wall_db = 0.0
        if entry.indoor is not None:
            key = key_of(self._seed, self._replication, leg.terminal, "wall")
            wall_db = entry.indoor.value().loss_db(
                entry.indoor.depth_m, carrier_hz=figures.carrier_hz, key=key if entry.shadowing else None
            )
        return LargeScale(
            entry.value(),
            self._where[leg.terminal],
            self._where[leg.station],
            carrier_hz=figures.carrier_hz,
            terminal_height_m=figures.terminal_height_m,
            station_height_m=figures.station_height_m,
            key=key_of(self._seed, self._replication, leg.station, "large scale")
            if entry.shadowing
            else None,
            is_los={"auto": None, "always": True, "never": False}[entry.los],
            indoor=entry.indoor is not None,
            extra_loss_db=wall_db,
        )

    def _fading(
        self,
        leg: AirLink,
        figures: RadioFigures,
        entry: FadingEntry,
        large: LargeScale,
        environment: PathLoss,
        purpose: str,
    ) -> Fading:
        key = link_key(self._seed, self._replication, leg.terminal, leg.station, purpose)
        speed_m_per_s = self._fades_at_m_per_s(leg, entry)

        def process(law: FadingLaw) -> Fading:
            if isinstance(law, NoFading):
                return BlockFading(law, key, math.inf)
            if entry.process == "block":
                return BlockFading(law, key, coherence_s(speed_m_per_s, figures.carrier_hz))
            return JakesFading(law, key, doppler_hz(speed_m_per_s, figures.carrier_hz))

        given = entry.law.law()
        if given is not None:
            return process(given)
        los, nlos = self._law_in_sight(leg, environment), Rayleigh()
        if large.changes_sight:
            return FadingByLineOfSight(large, (process(los), los), (process(nlos), nlos))
        return process(los if large.at(0.0).is_los else nlos)

    def _law_in_sight(self, leg: AirLink, environment: PathLoss) -> FadingLaw:
        """Return the environment's fading law in line of sight, with a K-factor drawn per link."""
        spread = environment.rician_k_db(True)
        if spread is None:
            return Rayleigh()
        mean_db, sigma_db = spread
        key = link_key(self._seed, self._replication, leg.terminal, leg.station, "k-factor")
        return Rician(mean_db + sigma_db * float(keyed_normals(key, np.arange(1))[0]))

    def _fades_at_m_per_s(self, leg: AirLink, entry: FadingEntry) -> float:
        """Return the speed for a link's Doppler spread: the highest of its ends and surroundings."""
        ends = (self._speed_m_per_s(leg.terminal), self._speed_m_per_s(leg.station))
        return max(entry.speed_m_per_s, *ends)

    def _speed_m_per_s(self, id_: str) -> float:
        """Return a device's typical speed."""
        track, entry = self._where[id_], self._layout.nodes[id_].entry
        if not track.moves:
            return 0.0
        given = None if entry is None or entry.mobility is None else entry.mobility.speed_m_per_s
        return track.speed(0.0) if given is None else given

    def _interface(self, entry: LinkEntry, figures: RadioFigures) -> Adapting:
        """Return the link adaptation of an entry's radios; they share one, as it caches tables."""
        known = self._interfaces.get(id(entry))
        if known is None:
            assert entry.radio is not None
            known = self._interfaces[id(entry)] = adaptation(entry.radio, figures)
        return known
