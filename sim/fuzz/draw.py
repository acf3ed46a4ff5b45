"""Draws a small scenario: sizes, distributions, rules, faults, policies, limits, flows, operators.

Swarm testing (Groce et al., "Swarm testing", ISSTA 2012): each scenario leaves most features out, a different
choice every time, because features hide each other's faults: with quotas everywhere nothing gets as far as to
be fenced. Sizes are chosen so that a run takes tens of milliseconds; short leases, slow links and long stalls
make races that are rare in life common.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from sim.contention import KINDS
from sim.retry import policies
from sim.rng import Streams
from sim.scenario.promises import ALWAYS, EVENTUALLY
from sim.store.rules import PRESETS, RULES
from sim.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

_MS: Final = 1000
_FEATURES: Final = (
    "fails", "delays", "suspends", "children", "flows", "lanes", "capabilities", "deadlines", "priorities",
    "quotas", "budgets", "operators", "crash", "pause", "partition", "outage", "slow", "loss", "skew",
    "lossy_link", "rules", "policy",
)  # fmt: skip


class Luck:
    """Draws from one stream.

    Parameters
    ----------
    seed, number
        The campaign's seed, and which of its scenarios.
    """

    def __init__(self, seed: int, number: int) -> None:
        self._uniform = Streams(seed, number).uniform("fuzz/scenario")

    def chance(self, probability: float) -> bool:
        """Say yes with a probability."""
        return self._uniform() < probability

    def pick(self, among: Sequence[Any]) -> Any:
        """Give one of several."""
        return among[int(self._uniform() * len(among))]

    def whole(self, low: int, high: int) -> int:
        """Give a whole number from low to high: small ones as often as large ones, by their logarithm."""
        span = math.log((high + 1) / max(low, 1))
        return min(high, max(low, int(max(low, 1) * math.exp(self._uniform() * span))))

    def share(self, high: float = 1.0) -> float:
        """Give a share up to ``high``, in hundredths; the ends come up too."""
        return round(float(self.pick((0.0, high, self._uniform() * high, self._uniform() * high))), 2)

    def time(self, low_us: int, high_us: int) -> str:
        """Give a duration, short ones as often as long ones."""
        return format_duration(self.whole(low_us, high_us))

    def store_time(self, low_ms: int, high_ms: int) -> str:
        """Give a duration that the store's clock can count."""
        return f"{self.whole(low_ms, high_ms)}ms"

    def delay(self, high_us: int) -> Any:
        """Give a duration or a distribution of durations, up to about ``high_us``."""
        mean = format_duration(max(self.whole(1, high_us), 2))
        low, high = sorted((self.whole(1, high_us), self.whole(1, high_us)))
        return self.pick((
            mean,
            "0s",
            {"exponential": {"mean": mean}},
            {"uniform": {"from": format_duration(low), "to": format_duration(high + 1)}},
            {"lognormal": {"median": format_duration(low), "p99": format_duration(4 * high + 4)}},
            {"mixture": [{"weight": 9, "of": format_duration(low)}, {"weight": 1, "of": mean}]},
        ))  # fmt: skip


def draw(seed: int, number: int) -> dict[str, Any]:
    """Draw scenario ``number`` of the campaign with this seed, as a YAML document would say it."""
    luck = Luck(seed, number)
    density = luck.pick((0.1, 0.25, 0.5))
    features = {name: luck.chance(density) for name in _FEATURES}
    run_ms = luck.whole(200, 1500)
    dialect = luck.pick(("contract", "contract", *PRESETS))
    scenario: dict[str, Any] = {
        "about": f"Drawn by the fuzzer: seed {seed}, number {number}.",
        "seed": luck.whole(1, 10**6),
        "horizon": {
            "warmup": luck.store_time(0, 100), "run": f"{run_ms}ms", "drain": luck.store_time(0, 1500),
        },
        "replications": 1,
        "store": _store(luck, dialect, rules=features["rules"]),
        "link": _link(luck, lossy=features["lossy_link"]),
        "workload": _workload(luck, features, run_ms),
        "workers": _workers(luck, dialect),
        "schedulers": {
            "count": luck.whole(1, 3), "grant_ttl": luck.store_time(1, 1000), "candidates": luck.whole(1, 10),
            "pick": luck.pick(("head", "random", "hashed")), "serial": luck.chance(0.2),
            "probe": luck.whole(1, 4),
        },
        "reconcilers": _reconcilers(luck),
    }  # fmt: skip
    classes = list(scenario["workload"]["classes"])
    if features["lanes"]:
        scenario["workers"]["lanes"] = ["main", "other"]
    if features["capabilities"]:
        scenario["workers"]["capabilities"] = luck.pick(([], ["gpu"], ["gpu", "eu"]))
    if features["operators"]:
        scenario["operators"] = _operators(luck)
    if features["quotas"]:
        scenario["quotas"] = _quotas(luck, classes)
    if features["budgets"]:
        limit = luck.whole(1, 40)
        scenario["budgets"] = {
            "tokens": {"limit": limit, "cost": luck.whole(0, limit), "reset": luck.pick((None, "200ms"))}
        }
    scenario["faults"] = _faults(luck, features, scenario["store"]["partitions"])
    if features["policy"]:
        scenario["retry"] = _policy(luck)
    scenario["expect"] = {"always": list(ALWAYS)}
    if luck.chance(0.3):
        _make_calm(scenario)
    return scenario


def _make_calm(scenario: dict[str, Any]) -> None:
    """Change what may keep repairs from being done in time, so that what is due must be done after the drain.

    Enough workers, who can do everything, are back soon and hold leases for longer than the link takes; short
    work; scans ten times a second; nothing lost; limits that let all in by and by.
    """
    scenario["horizon"]["drain"] = "4s"
    scenario["workers"] |= {"count": 8, "slots": 2, "poll": "50ms", "lease_ttl": "600ms"}
    scenario["workers"]["capabilities"] = ["gpu"]
    scenario["schedulers"] |= {"serial": False, "probe": 4, "candidates": 10, "grant_ttl": "300ms"}
    scenario["reconcilers"] = dict.fromkeys(scenario["reconcilers"], "100ms") | {"count": 2, "batch": 50}
    scenario["link"] = {
        "request": {"uniform": {"from": "50us", "to": "2ms"}},
        "reply": "1ms",
        "timeout": "100ms",
    }
    scenario["store"] |= {"service": "50us", "statement": "20us", "rules": {}}
    scenario["faults"] = [each for each in scenario["faults"] if not {"slow", "loss", "skew"} & each.keys()]
    scenario["retry"] = {"backoff": {"constant": {"delay": "20ms"}}, "limits": {"attempts": 10}}
    scenario.pop("budgets", None)
    for quota in scenario.get("quotas", {}).values():
        quota |= {"window": "10ms", "rate": quota["rate"] or 1}
    for spec in scenario["workload"]["classes"].values():
        spec["work"] = "5ms"
    # A signal that is buffered just after its waitpoint became active is lost, in the engine as well; and a
    # parent whose family was cancelled before it had children is taken over again and again, to no avail.
    classes = scenario["workload"]["classes"].values()
    restless = any({"suspends", "children"} & spec.keys() for spec in classes)
    # A release of an admission that meets an outage is lost.
    leaks = any("store_outage" in each for each in scenario["faults"])
    left_out = {"drained": restless, "slots_returned": leaks}
    scenario["expect"]["eventually"] = [each for each in EVENTUALLY if not left_out.get(each)]


def _store(luck: Luck, dialect: str, *, rules: bool) -> dict[str, Any]:
    changed = {name: luck.pick(rule.values) for name, rule in RULES.items() if rules and luck.chance(0.2)}
    return {
        "dialect": dialect,
        "rules": changed,
        "partitions": luck.whole(1, 4),
        "service": luck.delay(luck.pick((100, 2 * _MS))),
        "connections": luck.whole(1, 10),
        "statement": luck.delay(luck.pick((100, 1 * _MS))),
    }


def _link(luck: Luck, *, lossy: bool) -> dict[str, Any]:
    reach_us = luck.pick((500, 500, 5 * _MS, 50 * _MS))
    link: dict[str, Any] = {
        # Never all of it in no time: what is refused and tried again at once would never end.
        "request": {"uniform": {"from": "50us", "to": format_duration(reach_us)}},
        "reply": luck.delay(reach_us),
        "timeout": luck.store_time(1, 300),
        "fifo": luck.chance(0.3),
    }
    if lossy:
        link |= {"lose_request": luck.share(0.3), "lose_reply": luck.share(0.3)}
    return link


def _workload(luck: Luck, features: dict[str, bool], run_ms: int) -> dict[str, Any]:
    names = ["a", "b", "c"][: luck.whole(1, 3)]
    classes = {name: _work_class(luck, features) for name in names}
    if features["children"]:
        parent = classes[names[0]]
        child = luck.pick(names[1:] or ["child"])
        classes.setdefault(child, _work_class(luck, features))
        parent["children"] = {"probability": luck.share(), "count": luck.whole(1, 4), "class": child}
    wanted = luck.whole(3, 60)
    rate = f"{max(1, round(wanted * 1000 / run_ms))}/s"
    workload: dict[str, Any] = {
        "arrivals": luck.pick((
            {"poisson": {"rate": rate}},
            {"deterministic": {"rate": rate}},
            {"burst": {"count": wanted, "at": luck.store_time(0, run_ms // 2)}},
            {"burst": {"count": max(1, wanted // 4), "every": f"{max(1, run_ms // 4)}ms"}},
            {"on_off": {"rate": rate, "on": luck.delay(200 * _MS), "off": "50ms"}},
            {"closed": {"clients": luck.whole(1, 12), "think": luck.delay(50 * _MS)}},
        )),
        "classes": classes,
    }  # fmt: skip
    if features["flows"]:
        workload["flows"] = _flows(luck, names)
    return workload


def _flows(luck: Luck, names: list[str]) -> dict[str, Any]:
    return {
        "rate": f"{luck.whole(1, 8)}/s",
        "shape": luck.pick((
            {"chain": luck.whole(2, 5)}, {"fan_out": luck.whole(1, 6)}, {"fan_in": luck.whole(1, 6)},
            {"random_dag": {"nodes": luck.whole(2, 6), "edges": luck.share()}},
        )),
        "builders": luck.whole(1, 3),
        "think": luck.delay(20 * _MS),
        "dispatch_delay": luck.delay(20 * _MS),
        "lose_dispatch": luck.share(),
        "class": luck.pick((None, *names)),
    }  # fmt: skip


def _work_class(luck: Luck, features: dict[str, bool]) -> dict[str, Any]:
    def has(feature: str) -> bool:
        return features[feature] and luck.chance(0.7)

    spec: dict[str, Any] = {"weight": luck.whole(1, 9), "work": luck.delay(luck.pick((20 * _MS, 300 * _MS)))}
    if has("fails"):
        spec["fails"] = luck.share()
        backoff = luck.pick((
            {"fixed": {"delay": luck.store_time(1, 300)}},
            {"exponential": {"initial": luck.store_time(1, 100), "cap": "500ms"}},
        ))  # fmt: skip
        spec["retries"] = luck.pick((None, {"max": luck.whole(0, 4), "backoff": backoff}))
    if has("delays"):
        spec["delays"] = {"probability": luck.share(), "by": luck.delay(300 * _MS)}
    if has("suspends"):
        spec["suspends"] = {
            "probability": luck.share(),
            "waitpoint": luck.pick(("fresh", "pending_first")),
            "prepare": luck.delay(20 * _MS),
            "signal_after": luck.delay(200 * _MS),
            "signals": luck.whole(1, 4),
            "timeout": luck.pick((None, luck.store_time(1, 500))),
            "on_timeout": luck.pick(("fail", "cancel", "expire", "auto_resume")),
            "pending_timeout": luck.store_time(1, 500),
            "deterministic_ids": luck.chance(0.5),
        }
    if has("lanes"):
        spec["lane"] = "other"
    if has("priorities"):
        spec["priority"] = luck.whole(0, 9000)
    if has("capabilities"):
        spec["capabilities"] = ["gpu"]
    if has("deadlines"):
        spec["deadline"] = luck.store_time(1, 1000)
    return spec


def _workers(luck: Luck, dialect: str) -> dict[str, Any]:
    claims = ["scheduler", "scheduler", "direct"] + ["next"] * (dialect == "postgres")
    return {
        "count": luck.whole(1, 8),
        "slots": luck.whole(1, 3),
        "claim": luck.pick(claims),
        "dispatch": luck.pick(("hinted", "optimistic")),
        "poll": luck.time(5 * _MS, 300 * _MS),
        "lease_ttl": luck.store_time(5, 2000),
        "renew_at": round(0.05 + luck.share(0.9), 2),
        "stop_on_lost_lease": luck.chance(0.5),
        "replay_reconciliation": luck.pick(("intended", "as_coded")),
    }


def _reconcilers(luck: Luck) -> dict[str, Any]:
    scans = (
        "lease_expiry", "grants", "delayed", "suspension_timeout", "pending_waitpoints", "quota", "unblock",
        "dependencies", "cancels", "deadlines", "budgets",
    )  # fmt: skip
    spec: dict[str, Any] = {
        name: luck.pick((luck.time(10 * _MS, 500 * _MS),) * 9 + (None,)) for name in scans
    }
    return {"count": luck.pick((0, 1, 1, 2, 3)), "batch": luck.whole(1, 50), **spec}


def _operators(luck: Luck) -> dict[str, Any]:
    deeds = ("cancel", "cancel_flow", "revoke", "reprioritise")
    return {
        "count": luck.whole(1, 2),
        "think": luck.delay(100 * _MS),
        **{deed: f"{luck.whole(1, 20)}/s" for deed in deeds if luck.chance(0.5)},
    }


def _quotas(luck: Luck, classes: list[str]) -> dict[str, Any]:
    covered = luck.pick(([], classes[:1]))
    wanted = luck.whole(0, 2)
    quota = {
        "window": luck.pick(("1s", "2s", luck.store_time(10, 3000))),
        "rate": None if wanted == 1 else luck.whole(1, 20),
        "concurrency": None if wanted == 0 else luck.whole(1, 5),
        "classes": covered,
        "at": luck.pick(("dispatch", "submit")),
    }
    return {"api": quota}


def _faults(luck: Luck, features: dict[str, bool], partitions: int) -> list[dict[str, Any]]:
    at = luck.delay(500 * _MS)
    lasts = luck.delay(400 * _MS)
    several = luck.pick((1, 2, luck.share()))
    begin = luck.whole(0, 800)
    window = {"from": f"{begin}ms", "to": f"{begin + luck.whole(1, 500)}ms"}
    possible = {
        "crash": {"workers": several, "at": at, "down": lasts},
        "pause": {"workers": several, "at": at, "for": lasts},
        "partition": {
            "workers": several, "at": at, "for": lasts,
            "direction": luck.pick(("both", "requests", "replies")),
        },
        "outage": {**window, "partition": luck.pick((None, partitions - 1))},
        "slow": {**window, **luck.pick((
            {"what": "service"}, {"what": "link"}, {"what": "link", "workers": several},
        )), "factor": float(luck.whole(2, 500))},
        "loss": {**window, "requests": luck.share(), "replies": luck.share()},
        "skew": {
            "workers": several, "offset": luck.pick(("-200ms", "50ms", "2s")),
            "drift": luck.pick((-0.5, 0.0, 3.0)),
        },
    }  # fmt: skip
    written = {"outage": "store_outage"}
    return [{written.get(name, name): spec} for name, spec in possible.items() if features[name]]


def _policy(luck: Luck) -> Any:
    """Give a policy by name, or one of parts, of bounded patience so that the run is bounded as well."""
    if luck.chance(0.5):
        return luck.pick([each.name for each in policies()])
    base = luck.time(1 * _MS, 100 * _MS)
    policy: dict[str, Any] = {
        "backoff": luck.pick(({"full_jitter": {"base": base}}, {"constant": {"delay": base}}, {"none": {}})),
        "limits": {"attempts": luck.whole(1, 20), "acquire": luck.chance(0.3)},
        "routing": luck.pick(("documented", "naive")),
    }
    if luck.chance(0.3):
        policy["per_kind"] = {luck.pick(KINDS).value: {"constant": {"delay": base}}}
    if luck.chance(0.3):
        policy["budget"] = luck.pick(({"token_bucket": {"capacity": 3}}, {"grpc_throttling": {}}))
    if luck.chance(0.3):
        policy["breaker"] = {"consecutive_failures": {"failures": 3}}
    return policy
