"""Selection of the profile of each device kind; one measured on the kind takes precedence over scaling."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path as FilePath

from edgesim.errors import ProfileError
from edgesim.files import is_there, user_path
from edgesim.model.architecture import Architecture
from edgesim.model.profile import Profile
from edgesim.model.shipped import load_shipped, shipped_for, shipped_profiles
from edgesim.scenario.schema.device_kinds import DeviceKind
from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.text.problems import Path, Problem

__all__ = ["named_problems", "own_profiles", "saved_profile"]

Covers = Callable[[str, Profile], bool]
"""Whether a profile covers the lengths and batches of the devices of a timing name."""


def saved_profile(scenario: Scenario, model: Architecture) -> Profile | None:
    """Return the profile that ``profile`` names, from a file or shipped; None if it names none.

    Raises
    ------
    ProfileError
        If there is no such profile, or it is of another model.
    """
    use = scenario.profile.use
    if use in ("auto", "analytic"):
        return None
    where = scenario.place(("profile",))
    if use == "reference":
        shipped = shipped_for(model)
        if not shipped:
            have = sorted({f"{row.model} in {row.dtype}" for row in shipped_profiles().values()})
            raise ProfileError(
                f"{where}: no shipped profile of {model.name} in {model.dtype}; there are profiles of "
                f"{', '.join(have) or 'nothing'}. Write 'auto' to measure this machine"
            )
        return load_shipped(shipped[0].name)
    profile = _load(scenario, use)
    if profile.architecture.digest != model.plain.digest:
        raise ProfileError(
            f"{where}: {use} is {profile}, but the scenario's model is {model.name} in {model.dtype}. Name a "
            "profile of this model, or write 'auto'"
        )
    return profile


def own_profiles(
    scenario: Scenario,
    kinds: Mapping[str, DeviceKind],
    model: Architecture,
    base: Profile | None,
    covers: Covers,
) -> dict[str, Profile]:
    """Return the profiles that were measured on the scenario's device kinds themselves.

    Profiles named by a device entry or a device kind take precedence over those in `profiles` or `profile`
    that state the kind on which they were measured.

    Parameters
    ----------
    kinds
        Device kinds in use, by timing name.
    base
        Profile from which other kinds are scaled, if available.
    covers
        Whether a profile covers a kind's lengths; used to choose between several.

    Raises
    ------
    ProfileError
        If none of the profiles named for a kind is of the scenario's model, or if several are that were
        measured with different threads or devices.
    """
    stamped = list(_with_kind(scenario, model, base))
    found: dict[str, Profile] = {}
    for name, kind in kinds.items():
        if kind.profile:
            read = {text: _load(scenario, text) for text in kind.profile}
            fitting = {text: p for text, p in read.items() if _is_of(p, model)}
            if not fitting:
                listed = "; ".join(f"{text} is {profile}" for text, profile in read.items())
                raise ProfileError(
                    f"{scenario.origin.name}: none of the profiles of '{name}' is of {model.name} in "
                    f"{model.dtype}: {listed}. Measure one there (edgesim profile {model.name} --dtype "
                    f"{model.dtype} -o FILE), or leave 'profile' out to scale the kind's times"
                )
        else:
            fitting = {text: p for text, p in stamped if p.kind == name}
        if fitting:
            found[name] = _one_of(scenario, name, fitting, covers)
    return found


def named_problems(scenario: Scenario) -> Iterator[Problem]:
    """Yield a problem for every named profile that does not exist."""
    named: list[tuple[Path, str]] = []
    if scenario.profile.is_named:
        named.append((("profile",), scenario.profile.use))
    if "profiles" in scenario.model_fields_set:
        named += [(("profiles",), text) for text in scenario.profiles]
    for name, kind in scenario.kinds.items():
        named += [(("kinds", name, "profile"), text) for text in kind.profile]
    for index, entry in enumerate(scenario.topology.devices):
        named += [(("topology", "devices", index, "profile"), text) for text in entry.profile]
    for path, text in named:
        if not text.strip():
            yield Problem(path, "an empty name; expected a file, or the name of a shipped profile")
            continue
        folder_may_be = path == ("profiles",)
        at = _path(scenario, text)
        if not (
            (is_there(at) and (at.is_file() or (folder_may_be and at.is_dir()))) or text in shipped_profiles()
        ):
            words = ", or write 'auto', 'reference' or 'analytic'" * (path == ("profile",))
            yield Problem(
                path,
                f"no profile file {'or folder ' * folder_may_be}'{text}'; measure one (edgesim profile MODEL "
                f"-o FILE), name a shipped one (edgesim list profiles){words}",
            )


def _one_of(scenario: Scenario, name: str, fitting: Mapping[str, Profile], covers: Covers) -> Profile:
    """Return the latest profile, among those that cover the kind's lengths if any does."""
    ways = {(profile.device, profile.threads) for profile in fitting.values()}
    if len(ways) > 1:
        listed = "; ".join(
            f"{text} with {p.threads} threads on {p.device}" for text, p in sorted(fitting.items())
        )
        raise ProfileError(
            f"{scenario.origin.name}: '{name}' has several profiles of this model, measured in different "
            f"ways: {listed}. Name the one to use in the kind's or the device's 'profile'"
        )
    ranked = sorted(fitting.items(), key=lambda it: (covers(name, it[1]), it[1].measured_at, it[0]))
    return ranked[-1][1]


def _with_kind(
    scenario: Scenario, model: Architecture, base: Profile | None
) -> Iterator[tuple[str, Profile]]:
    """Yield the profiles of the model that state the kind on which they were measured."""
    candidates = [("profile", base)] if base is not None else []
    for text in scenario.profiles:
        folder = _path(scenario, text)
        if is_there(folder) and folder.is_dir():
            candidates += [(str(file), Profile.load(file)) for file in sorted(folder.glob("*.parquet"))]
        elif "profiles" in scenario.model_fields_set:
            candidates.append((text, _load(scenario, text)))
    for row in shipped_for(model):
        if row.kind:
            candidates.append((row.name, load_shipped(row.name)))
    yield from ((text, profile) for text, profile in candidates if profile.kind and _is_of(profile, model))


def _is_of(profile: Profile, model: Architecture) -> bool:
    return profile.architecture.digest == model.plain.digest


def _load(scenario: Scenario, text: str) -> Profile:
    """Read a profile from a file, or a shipped one if there is no such file."""
    path = _path(scenario, text)
    return load_shipped(text) if not is_there(path) and text in shipped_profiles() else Profile.load(path)


def _path(scenario: Scenario, text: str) -> FilePath:
    return user_path(scenario.origin.folder, text)
