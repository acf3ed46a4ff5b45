"""Measured times become distributions: the parameters come back, the test is honest, mistakes have lines."""

import json
import math

import numpy as np
import pytest
from scipy import special

from sim.analysis import fitting
from sim.analysis.fitting import LogError, Sample, fit_sample, p_value, parts_of, read_log
from sim.analysis.plots.fitting import goodness_of_fit, save_fit_plot
from sim.rng import Streams
from sim.scenario import loads
from sim.units import parse_duration_us

N = 4000


def generator(name="fit"):
    return Streams(3, 0).of(f"test/{name}")


def sample(times_us, paths=("store.service",)):
    return Sample(paths, np.asarray(times_us, dtype=float), {"service": len(times_us)})


def log_of(path, rows, head="op,ms"):
    path.write_text("\n".join([head, *rows]) + "\n", "utf-8")
    return path


# --- the parameters come back ---------------------------------------------------------------------

# The distribution as a scenario has it, what was drawn with, and the standard error of each estimate by the
# Fisher information of the family (Johnson, Kotz and Balakrishnan).
KNOWN = {
    "exponential": ({"mean": "80ms"}, {"mean": 80_000 / math.sqrt(N)}),
    "lognormal": (
        {"median": "3ms", "sigma": 0.8},
        {"median": 3_000 * 0.8 / math.sqrt(N), "sigma": 0.8 / math.sqrt(2 * N)},
    ),
    "gamma": (
        {"shape": 2.5, "mean": "10ms"},
        {
            "shape": math.sqrt(2.5 / (N * (2.5 * special.polygamma(1, 2.5) - 1))),
            "mean": 10_000 / math.sqrt(2.5 * N),
        },
    ),
    "weibull": (
        {"shape": 0.7, "scale": "30ms"},
        {"shape": 0.7 * math.sqrt(6 / math.pi**2 / N), "scale": 30_000 / 0.7 * math.sqrt(1.1087 / N)},
    ),
    "pareto": ({"alpha": 1.8, "min": "10ms"}, {"alpha": 1.8 / math.sqrt(N), "min": 10_000 / (1.8 * N)}),
}


def number(value):
    return parse_duration_us(value) if isinstance(value, str) else value


@pytest.mark.parametrize("family", KNOWN)
def test_what_was_drawn_from_a_scenarios_distribution_is_fitted_and_loads_again(family, tmp_path):
    """Drawn, written as a log, read, fitted, written as YAML, loaded: each within 4 standard errors.

    The microsecond more is the rounding of draws and of durations in a scenario.
    """
    parameters, errors = KNOWN[family]
    arrivals = "workload: {arrivals: {poisson: {rate: 1/s}}}"
    drawn = loads(f"about: known\n{arrivals}\nstore: {{service: {json.dumps({family: parameters})}}}")
    times_us = drawn.store.service.draw(generator(family), N)
    log = log_of(tmp_path / "log.csv", [f"claim_execution,{time / 1000}" for time in times_us])
    (measured,) = read_log(log)
    fitted = fit_sample(measured, generator("bootstrap"))
    assert fitted.best.family == family
    scenario = loads(fitting.as_yaml([fitted], log.name, "aic"))
    written = scenario.resolved()["store"]["service"][family]
    assert written.keys() == parameters.keys()
    for name, value in parameters.items():
        tolerance = 4 * errors[name] + (1 if isinstance(value, str) else 0)
        assert abs(number(written[name]) - number(value)) <= tolerance, name


def test_the_whole_log_becomes_one_scenario_that_loads(tmp_path):
    rng = generator()
    rows = [f"link,{time:.3f}" for time in rng.lognormal(-1, 0.5, 200)]
    rows += [f"reply,{time:.3f}" for time in rng.lognormal(0, 0.5, 200)]
    rows += [f"claim_execution,{time:.3f}" for time in rng.exponential(2, 200)]
    rows += [f"task,{time:.3f}" for time in rng.gamma(2, 50, 200)] + ["work.human,50"] * 30 + ["noise,x"] * 0
    samples = read_log(log_of(tmp_path / "log.csv", rows), {"task": "work"})
    assert [(each.paths, each.operations) for each in samples] == [
        (("store.service",), {"claim_execution": 200}),
        (("link.request",), {"link": 200}),
        (("link.reply",), {"link": 200, "reply": 200}),
        (("workload.classes.default.work",), {"task": 200}),
        (("workload.classes.human.work",), {"work.human": 30}),
    ]
    fits = [fit_sample(each, generator()) for each in samples]
    scenario = loads(fitting.as_yaml(fits, "log.csv", "aic")).resolved()
    assert list(scenario["link"]["request"]) == ["lognormal"]
    assert scenario["workload"]["classes"]["human"]["work"] == {"constant": "50ms"}
    assert set(scenario["workload"]["classes"]) == {"default", "human"}


def test_measured_times_can_stand_in_the_scenario_themselves(tmp_path):
    few, many = sample([300.2, 100, 200] * 10), sample(np.arange(1, 100_001))
    assert fitting.empirical(few)["empirical"]["values"] == [100] * 10 + [200] * 10 + [300] * 10
    values = fitting.empirical(many)["empirical"]["values"]
    assert values[:3] == [50, 150, 250]
    assert len(values) == fitting.MOST_VALUES
    text = fitting.as_yaml([fit_sample(few, generator())], "log.csv", "aic", measured=True)
    assert loads(text).store.service.mean_us() == 200


# --- the choice and the test ----------------------------------------------------------------------


def test_the_criteria_are_those_of_akaike_and_schwarz():
    """For exponential times ln L = -n (ln mean + 1); one parameter for it, two for gamma."""
    times = generator().exponential(5000, 300)
    candidates = {each.family: each for each in fit_sample(sample(times), generator()).candidates}
    found = candidates["exponential"]
    likelihood = -300 * (math.log(times.mean()) + 1)
    assert found.log_likelihood == pytest.approx(likelihood)
    assert found.aic == pytest.approx(2 - 2 * likelihood)
    assert found.bic == pytest.approx(math.log(300) - 2 * likelihood)
    gamma = candidates["gamma"]
    assert gamma.aic == pytest.approx(4 - 2 * gamma.log_likelihood)
    assert gamma.log_likelihood >= likelihood - 1e-6


DRAWN = {
    "exponential": lambda rng, n: rng.exponential(5000, n),
    "lognormal": lambda rng, n: rng.lognormal(8, 1, n),
    "gamma": lambda rng, n: rng.gamma(2.5, 4000, n),
    "weibull": lambda rng, n: 30_000 * rng.weibull(0.7, n),
    "pareto": lambda rng, n: 10_000 * (1 + rng.pareto(1.8, n)),
}


@pytest.mark.parametrize("family", DRAWN)
def test_the_p_value_is_honest_although_the_parameters_are_fitted(family):
    """Where the family is true, one test in ten is at most 0.1: 200 tests, within 4 standard errors.

    19 samples of the bootstrap make 0.1 exact: the distance is among the two largest of twenty. The
    textbook's p-value would be as low almost never.
    """
    rng, tests = generator(f"honest/{family}"), 200
    below = sum(p_value(family, DRAWN[family](rng, 50), rng, draws=19) <= 0.1 for _ in range(tests))
    assert abs(below / tests - 0.1) <= 4 * math.sqrt(0.1 * 0.9 / tests)


def test_a_family_that_does_not_describe_the_times_is_refused_by_the_test():
    rng = generator()
    two_humps = np.r_[rng.normal(1000, 50, 300), rng.normal(9000, 50, 300)]
    fitted = fit_sample(sample(two_humps), generator())
    assert fitted.p_value == pytest.approx(1 / (fitting.DRAWS + 1))
    assert any("does not describe these times" in line for line in fitting.summary([fitted], "aic"))


def test_no_p_value_is_given_where_it_would_mean_nothing():
    rng = generator()
    many = fit_sample(sample(rng.exponential(5000, fitting.MOST_TESTED + 1)), rng)
    assert many.p_value is None
    assert many.notes == ("no p-value above 20,000 times, where any family is rejected: see the distance",)
    equal = fit_sample(sample([50_000] * 30), rng)
    assert (equal.best.written, equal.p_value, equal.notes) == (
        {"constant": "50ms"}, None, ("all measured times are equal",),
    )  # fmt: skip


def test_a_coarse_clock_is_noticed_and_zeros_leave_only_what_can_be_zero():
    times = generator().lognormal(6, 1, 500)
    times[0] = 0
    one = fit_sample(sample(times), generator())
    assert one.best.family == "lognormal"
    assert one.notes[0].startswith("1 times of 0 are taken as half the least time above 0")
    coarse = fit_sample(sample(np.rint(generator().exponential(3, 500)) * 1000), generator())
    assert [each.family for each in coarse.candidates] == ["exponential"]
    assert set(coarse.left_out) == {"lognormal", "gamma", "weibull", "pareto"}
    assert any("coarse clock" in note for note in coarse.notes)


# --- the log --------------------------------------------------------------------------------------


def test_operations_are_evidence_for_parts_by_their_names():
    assert parts_of("link") == ("link.request", "link.reply")
    assert parts_of("complete_execution") == parts_of("service") == ("store.service",)
    assert parts_of("statement") == ("store.statement",)
    assert parts_of("work.human") == ("workload.classes.human.work",)
    assert parts_of("skip") == ()


def test_every_mistake_of_a_log_is_told_with_its_line(tmp_path):
    rows = [*["work,1"] * 20, "work,fast", "work,-3", "work", "clam_execution,2", "clam_execution,3"]
    path = log_of(tmp_path / "log.csv", rows)
    with pytest.raises(LogError) as caught:
        read_log(path)
    assert str(caught.value).splitlines() == [
        f"{path}:22: 'fast' is not a number of milliseconds",
        f"{path}:23: '-3' ms is no time from 0 to ten years",
        f"{path}:24: '' is not a number of milliseconds",
        f"{path}:25: 'clam_execution' is no operation of the store and none of link, request, reply, "
        "service, statement, work, work.CLASS, skip (did you mean 'claim_execution'? Say what it stands for "
        "with --map OP=WORD)",
    ]


@pytest.mark.parametrize(
    ("rows", "head", "mapping", "message"),
    [
        (["work,1"], "op,ms", {}, "workload.classes.default.work has 1 measured times, and 20 are the least"),
        (["work,1"], "operation,ms", {}, "has no column 'op'"),
        ([], "op,ms", {}, "has no rows"),
        (["work,1"] * 20, "op,ms", {"work": "skip"}, "every operation is left out"),
        (["work,1"] * 20, "op,ms", {"sleep": "work"}, "no row has the operation 'sleep', which --map names"),
        (["work,nan"] * 20, "op,ms", {}, "log.csv:2: 'nan' ms is no time from 0 to ten years"),
    ],
)
def test_a_log_that_cannot_be_used_says_why(tmp_path, rows, head, mapping, message):
    with pytest.raises(LogError) as caught:
        read_log(log_of(tmp_path / "log.csv", rows, head), mapping)
    assert message in str(caught.value)


def test_many_mistakes_are_cut(tmp_path):
    with pytest.raises(LogError) as caught:
        read_log(log_of(tmp_path / "log.csv", ["work,x"] * 50))
    assert str(caught.value).splitlines()[-1] == "... and 30 more mistakes"


def test_a_log_that_is_not_there_is_named(tmp_path):
    with pytest.raises(LogError, match=r"cannot read .*none\.csv"):
        read_log(tmp_path / "none.csv")


@pytest.mark.parametrize("text", ["task", "=work", "task=play"])
def test_a_mapping_that_means_nothing_is_refused(text):
    with pytest.raises(LogError, match=f"^--map {text}: "):
        fitting.parse_mapping([text])


# --- the picture ----------------------------------------------------------------------------------


def test_the_picture_shows_each_part_twice_and_names_what_it_leaves_out(tmp_path):
    rng = generator()
    fits = [
        fit_sample(sample(rng.lognormal(6, 1, 300)), rng),
        fit_sample(sample([50_000] * 30, ("workload.classes.default.work",)), rng),
    ]
    figure = goodness_of_fit(fits, "log.csv")
    shares, quantiles = figure.axes
    assert "log.csv: measured times and fitted distributions" in figure.get_suptitle()
    assert shares.get_title(loc="left").strip() == "store.service"
    assert [text.get_text() for text in shares.get_legend().get_texts()][:2] == [
        "measured (300)", "lognormal (best)",
    ]  # fmt: skip
    assert quantiles.get_xlabel() == "quantiles of the fitted lognormal (logarithmic)"
    assert figure.get_supxlabel() == "not drawn, as all their times are equal: workload.classes.default.work"
    dots = quantiles.lines[1].get_xydata()
    assert np.abs(np.log(dots[50:-50, 0] / dots[50:-50, 1])).max() < 0.5
    one, two = (save_fit_plot(fits, "log.csv", tmp_path / name / "fit.png").read_bytes() for name in "ab")
    assert one == two
