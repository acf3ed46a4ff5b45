"""Every family draws what its formula says, from any legal combination of parameters, and nothing else."""

import math
import pickle
import subprocess
import sys
from statistics import fmean

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scipy import stats

from sim.distributions import FAMILIES, Distribution, catalogue
from sim.rng import LAST_BLOCK
from sim.schema import plain_message
from sim.units import MAX_DURATION_US

ADAPTER = TypeAdapter(Distribution)

EXAMPLES = {
    "constant": "50ms",
    "uniform": {"uniform": {"from": "1ms", "to": "5ms"}},
    "triangular": {"triangular": {"min": "1ms", "mode": "2ms", "max": "9ms"}},
    "exponential": {"exponential": {"mean": "3ms"}},
    "lognormal": {"lognormal": {"median": "2ms", "p99": "20ms"}},
    "normal": {"normal": {"mean": "3ms", "sd": "500us"}},
    "gamma": {"gamma": {"shape": 2.5, "mean": "3ms"}},
    "weibull": {"weibull": {"shape": 1.5, "mean": "3ms"}},
    "pareto": {"pareto": {"alpha": 3, "min": "2ms"}},
    "mixture": {
        "mixture": [
            {"weight": 3, "of": "1ms"},
            {"weight": 1, "of": {"uniform": {"from": "10ms", "to": "20ms"}}},
            {"weight": 2, "of": {"mixture": [{"of": {"gamma": {"shape": 2, "mean": "5ms"}}}, {"of": "7ms"}]}},
        ]
    },
    "empirical": {"empirical": {"values": [1, 2.5, 2.5, 40], "unit": "ms"}},
    "scipy": {"scipy": {"name": "burr12", "args": {"c": 3, "d": 2}, "scale": "3ms"}},
}
VARYING = [name for name in EXAMPLES if name != "constant"]

REFERENCES = {
    "uniform": stats.uniform(1000, 4000),
    "triangular": stats.triang(1 / 8, 1000, 8000),
    "exponential": stats.expon(scale=3000),
    "lognormal": stats.lognorm(math.log(10) / stats.norm.ppf(0.99), scale=2000),
    "normal": stats.norm(3000, 500),
    "gamma": stats.gamma(2.5, scale=1200),
    "weibull": stats.weibull_min(1.5, scale=3000 / math.gamma(1 + 1 / 1.5)),
    "pareto": stats.pareto(3, scale=2000),
    "scipy": stats.burr12(3, 2, scale=3000),
}


def read(data):
    return ADAPTER.validate_python(data)


def generator(seed=7):
    return np.random.Generator(np.random.PCG64(seed))


def refused(data):
    """Give the first mistake as ``path: message``."""
    with pytest.raises(ValidationError) as caught:
        read(data)
    first = caught.value.errors()[0]
    path = ".".join(map(str, first["loc"]))
    return f"{path}: {plain_message(first)}" if path else plain_message(first)


def test_every_family_is_tried_here():
    assert list(EXAMPLES) == [family.key for family in FAMILIES]


@pytest.mark.parametrize("name", REFERENCES)
def test_quantiles_are_those_of_scipy(name):
    uniform = np.array([0.0, 1e-6, 0.01, 0.124, 0.126, 0.5, 0.9, 0.99, 0.999999])
    # A normal has values below zero, which a duration has not.
    mine, theirs = read(EXAMPLES[name]).quantile(uniform), np.maximum(0, REFERENCES[name].ppf(uniform))
    np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", REFERENCES)
def test_means_are_those_of_scipy(name):
    assert read(EXAMPLES[name]).mean_us() == pytest.approx(REFERENCES[name].mean(), rel=1e-9)


@pytest.mark.parametrize("name", REFERENCES)
def test_draws_follow_the_distribution(name):
    """A Kolmogorov-Smirnov test at a fixed seed; the clock's tick is a thousandth of a typical value."""
    values = read(EXAMPLES[name]).draw(generator(), 20_000)
    assert stats.kstest(values, REFERENCES[name].cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_sequence_does_not_depend_on_blocks(name):
    """One draw of 10,000, samplers with growing blocks, and draws of odd sizes give the same values."""
    distribution = read(EXAMPLES[name])
    n = 2 * LAST_BLOCK + 1808
    whole = distribution.draw(generator(), n).tolist()
    sample = distribution.sampler(generator())
    assert [sample() for _ in range(n)] == whole
    stream, parts = generator(), []
    for size in (1, 2, 3, 5, 7, 1000, n - 1018):
        parts += distribution.draw(stream, size).tolist()
    assert parts == whole


@pytest.mark.parametrize("name", EXAMPLES)
def test_draws_are_plain_integers(name):
    distribution = read(EXAMPLES[name])
    assert distribution.draw(generator(), 3).dtype == np.int64
    assert type(distribution.sampler(generator())()) is int


@pytest.mark.parametrize("name", [name for name in VARYING if name != "gamma"])
def test_a_value_costs_the_stream_one_uniform(name):
    """So that a scenario that changes one distribution leaves the other draws of a stream in place."""
    used, counted = generator(), generator()
    read(EXAMPLES[name]).draw(used, 1000)
    counted.random(1000)
    assert used.random() == counted.random()


def test_a_constant_takes_nothing_from_the_stream():
    used = generator()
    read("50ms").draw(used, 1000)
    assert used.random() == generator().random()


@pytest.mark.parametrize("name", VARYING)
def test_mean_and_sample_mean_agree(name):
    distribution = read(EXAMPLES[name])
    values = distribution.draw(generator(3), 200_000)
    error = 5 * values.std() / math.sqrt(len(values))
    assert distribution.mean_us() == pytest.approx(values.mean(), abs=error)


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_written_reads_back_equal(name):
    distribution = read(EXAMPLES[name])
    written = ADAPTER.dump_python(distribution, mode="json")
    assert read(written) == distribution
    assert read(yaml.safe_load(yaml.safe_dump(written))) == distribution
    assert read(distribution) is distribution
    distribution.draw(generator(), 1)
    assert pickle.loads(pickle.dumps(distribution)) == read(EXAMPLES[name])


def test_a_duration_alone_is_a_constant():
    assert read("50ms") == read({"constant": "50ms"})
    assert read(0).mean_us() == 0


SOLVED = [
    ("exponential", {"mean": "3ms"}, 3000, 1),
    ("exponential", {"median": "3ms"}, 3000 / math.log(2), 1),
    ("exponential", {"p99": "3ms"}, 3000 / math.log(100), 1),
    ("lognormal", {"median": "2ms", "p99": "20ms"}, 2000, 0.98978),
    ("lognormal", {"median": "2ms", "sigma": 1.5}, 2000, 1.5),
    ("lognormal", {"median": "2ms", "sigma": 0}, 2000, 0),
    ("lognormal", {"median": "2ms", "mean": "3ms"}, 2000, math.sqrt(2 * math.log(1.5))),
    ("lognormal", {"mean": "3ms", "sigma": 1.5}, 3000 * math.exp(-1.125), 1.5),
    ("lognormal", {"mean": "3ms", "cv": 1}, 3000 / math.sqrt(2), math.sqrt(math.log(2))),
    ("lognormal", {"mean": "3ms", "sd": "3ms"}, 3000 / math.sqrt(2), math.sqrt(math.log(2))),
    ("gamma", {"shape": 2.5, "scale": "2ms"}, 2000, 2.5),
    ("gamma", {"shape": 2.5, "mean": "5ms"}, 2000, 2.5),
    ("gamma", {"mean": "5ms", "cv": 0.5}, 1250, 4),
    ("gamma", {"mean": "5ms", "sd": "2500us"}, 1250, 4),
    ("weibull", {"shape": 0.5, "scale": "2ms"}, 2000, 0.5),
    ("weibull", {"shape": 0.5, "mean": "4ms"}, 2000, 0.5),
    ("weibull", {"shape": 2, "median": "2ms"}, 2000 / math.sqrt(math.log(2)), 2),
    ("weibull", {"shape": 2, "p90": "2ms"}, 2000 / math.sqrt(math.log(10)), 2),
    ("pareto", {"alpha": 2, "min": "2ms"}, 2000, 2),
    ("pareto", {"alpha": 2, "mean": "4ms"}, 2000, 2),
    ("pareto", {"alpha": 2, "median": "2ms"}, 2000 / math.sqrt(2), 2),
    ("pareto", {"alpha": 2, "p99": "20ms"}, 2000, 2),
]
MET = [
    (family, tail) for family in ("lognormal", "weibull", "pareto") for tail in ("p90", "p95", "p99", "p999")
]


def test_every_legal_combination_is_tried_here():
    tried = {(family, frozenset({"median", "tail"})) for family, _ in MET}
    tried |= {
        (family, frozenset(k if k[1:].isalpha() else "tail" for k in given)) for family, given, *_ in SOLVED
    }
    tried.add(("lognormal", frozenset({"mean", "tail"})))
    assert tried == {
        (each.key, frozenset(way)) for each in FAMILIES if hasattr(each, "ways") for way in each.ways
    }


@pytest.mark.parametrize(("family", "parameters", "scale", "shape"), SOLVED)
def test_parameters_determine_scale_and_shape(family, parameters, scale, shape):
    assert read({family: parameters}).parameters == pytest.approx((scale, shape), rel=1e-5)


@pytest.mark.parametrize(("family", "tail"), MET)
def test_median_and_percentile_are_met(family, tail):
    share = {"p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}[tail]
    distribution = read({family: {"median": "2ms", tail: "9ms"}})
    np.testing.assert_allclose(distribution.quantile(np.array([0.5, share])), [2000, 9000])


def test_mean_and_percentile_of_a_lognormal_are_met():
    """Of the two lognormals that meet them, the narrower one is meant."""
    distribution = read({"lognormal": {"mean": "2ms", "p99": "9ms"}})
    assert distribution.mean_us() == pytest.approx(2000)
    np.testing.assert_allclose(distribution.quantile(np.array([0.99])), [9000])
    assert distribution.parameters[1] < stats.norm.ppf(0.99)


PERCENTILE = "a percentile (p90, p95, p99, p999)"
NOT_SCIPY = "see the continuous distributions of scipy.stats"
INFEASIBLE = "this percentile of a lognormal lies between its mean and 15 times its mean"
WAYS_OF_LOGNORMAL = (
    f"median and {PERCENTILE}, or median and sigma, or median and mean, or mean and sigma, or mean and cv, "
    f"or mean and sd, or mean and {PERCENTILE}"
)
WAYS_OF_EXPONENTIAL = f"exponential takes mean, or median, or {PERCENTILE}"
REFUSED = [
    ("lognormal", {"median": "2ms"}, f"lognormal takes {WAYS_OF_LOGNORMAL}, not median"),
    ("exponential", {}, f"{WAYS_OF_EXPONENTIAL}, not nothing"),
    ("exponential", {"mean": "1ms", "p99": "5ms"}, f"{WAYS_OF_EXPONENTIAL}, not mean and p99"),
    ("exponential", {"p90": "1ms", "p99": "5ms"}, f"{WAYS_OF_EXPONENTIAL}, not p90 and p99"),
    ("exponential", {"mean": "0s"}, "mean: must be longer than 0"),
    ("exponential", {"mean": 3}, "mean: 3 is not a duration (durations carry a unit: try '3s' or '3ms')"),
    ("lognormal", {"median": "2ms", "p99": "2ms"}, "the percentile must lie above the median"),
    ("lognormal", {"median": "2ms", "mean": "1ms"}, "the mean of a lognormal is at least its median"),
    ("lognormal", {"mean": "1ms", "p99": "1ms"}, INFEASIBLE),
    ("lognormal", {"mean": "1ms", "p99": "16ms"}, INFEASIBLE),
    ("lognormal", {"median": "1us", "p90": "80000h"}, "sigma would be 25.98, outside 0 to 10"),
    ("lognormal", {"median": "2ms", "sigma": -1}, "sigma: -1 is too small: at least 0"),
    ("gamma", {"shape": 0, "mean": "1ms"}, "shape: 0 is too small: at least 0.01"),
    ("gamma", {"mean": "1ms", "sd": "11ms"}, "shape would be 0.008264, outside 0.01 to 1e+06"),
    ("weibull", {"median": "1s", "p99": "1000001us"}, "shape would be 1.894e+06, outside 0.05 to 1000"),
    ("pareto", {"alpha": 1, "mean": "1ms"}, "a pareto has a mean only where alpha is above 1"),
    ("pareto", {"alpha": float("nan"), "min": "1ms"}, "alpha: nan is not a finite number"),
    ("uniform", {"from": "5ms", "to": "1ms"}, "from is above to"),
    ("uniform", {"from": "5ms"}, "to: this key is required"),
    ("uniform", None, "null is not a mapping of keys"),
    ("triangular", {"min": "1ms", "mode": "9ms", "max": "2ms"}, "mode is above max"),
    ("mixture", [], "at least one part needs a weight above 0"),
    ("mixture", [{"weight": 0, "of": "1ms"}], "at least one part needs a weight above 0"),
    ("mixture", [{"weight": -1, "of": "1ms"}], "0.weight: -1 is too small: at least 0"),
    ("mixture", [{"of": {"expo": 1}}], "0.of: there is no distribution 'expo' (did you mean 'exponential'?)"),
    ("scipy", {"name": "burr13"}, "scale: this key is required"),
    ("scipy", {"name": "burr13", "scale": "1ms"},
     "scipy.stats has no continuous distribution 'burr13' (did you mean 'burr12'?)"),
    ("scipy", {"name": "os", "scale": "1s"},
     f"scipy.stats has no continuous distribution 'os' ({NOT_SCIPY})"),
    ("scipy", {"name": "bernoulli", "args": {"p": 0.5}, "scale": "1ms"},
     f"scipy.stats has no continuous distribution 'bernoulli' ({NOT_SCIPY})"),
    ("scipy", {"name": "burr12", "args": {"c": 2}, "scale": "1ms"}, "burr12 takes c, d, not c"),
    ("scipy", {"name": "expon", "args": {"c": 2}, "scale": "1ms"}, "expon takes no args, not c"),
    ("scipy", {"name": "burr12", "args": {"c": -2, "d": 1}, "scale": "1ms"},
     "burr12 is not defined for c=-2, d=1"),
    ("normal", {"mean": "1ms"}, "sd: this key is required"),
    ("normal", {"mean": "1ms", "sd": "0s"}, "sd: must be longer than 0"),
    ("empirical", {}, "empirical takes csv and column, or values"),
    ("empirical", {"values": [1], "csv": "x"}, "empirical takes csv and column, or values"),
    ("empirical", {"values": [1, -1]}, "-1 ms is not a duration from 0 to ten years"),
    ("empirical", {"values": [1e30]}, "1e+30 ms is not a duration from 0 to ten years"),
    ("empirical", {"values": [float("nan")]}, "values.0: nan is not a finite number"),
]  # fmt: skip


@pytest.mark.parametrize(("family", "parameters", "message"), REFUSED)
def test_parameters_that_determine_nothing_are_refused(family, parameters, message):
    assert refused({family: parameters}) in (f"{family}: {message}", f"{family}.{message}")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"lognorml": {}}, "there is no distribution 'lognorml' (did you mean 'lognormal'?)"),
        ({"constant": "1ms", "uniform": {}}, "a distribution has exactly one key, not constant and uniform"),
        ({}, "a distribution has exactly one key, not nothing"),
    ],
)
def test_what_names_no_family_is_refused(data, message):
    assert refused(data) == message


def test_a_heavy_tail_has_no_mean_and_ends_at_ten_years():
    heavy = read({"pareto": {"alpha": 0.1, "min": "1s"}})
    assert heavy.mean_us() == math.inf
    values = heavy.draw(generator(), 100_000)
    assert values.min() >= 1_000_000
    assert values.max() == MAX_DURATION_US


def test_a_mixture_with_a_heavy_part_has_no_mean_unless_its_weight_is_zero():
    parts = [{"weight": 1, "of": "1ms"}, {"weight": 1, "of": {"pareto": {"alpha": 1, "min": "1ms"}}}]
    assert read({"mixture": parts}).mean_us() == math.inf
    parts[1]["weight"] = 0
    assert read({"mixture": parts}).mean_us() == 1000


def test_a_part_of_weight_zero_is_never_drawn():
    mixture = read(
        {"mixture": [{"weight": 0, "of": "1ms"}, {"weight": 1, "of": "2ms"}, {"weight": 0, "of": "3ms"}]}
    )
    assert set(mixture.draw(generator(), 1000).tolist()) == {2000}


def test_values_of_scipy_below_zero_are_cut():
    """The mean is then that of the cut distribution: of max(0, N(0, 1)) it is 1 / sqrt(2 pi)."""
    normal = read({"scipy": {"name": "norm", "scale": "100ms"}})
    values = normal.draw(generator(), 10_000)
    assert values.min() == 0
    assert (values == 0).mean() == pytest.approx(0.5, abs=0.02)
    assert normal.mean_us() == pytest.approx(100_000 / math.sqrt(2 * math.pi), rel=1e-6)


@pytest.mark.parametrize(("below_zero", "law"), [("cut", None), ("fold", stats.foldnorm(0.5, scale=2000))])
def test_a_normal_has_no_values_below_zero(below_zero, law):
    """Cut, they pile up at 0, as many as were below; folded, they have the folded normal's law and mean."""
    normal = read({"normal": {"mean": "1ms", "sd": "2ms", "below_zero": below_zero}})
    values = normal.draw(generator(), 20_000)
    assert values.min() >= 0
    if law is None:
        assert (values == 0).mean() == pytest.approx(stats.norm.cdf(-0.5), abs=0.01)
        assert normal.mean_us() == pytest.approx(fmean(values.tolist()), rel=0.02)
    else:
        assert stats.kstest(values, law.cdf).pvalue > 1e-3
        assert normal.mean_us() == pytest.approx(law.mean(), rel=1e-9)
        assert normal.quantile(np.zeros(1))[0] < 20_000


def test_scipy_adds_loc():
    shifted = read({"scipy": {"name": "expon", "scale": "1ms", "loc": "5ms"}})
    assert shifted.mean_us() == pytest.approx(6000)
    assert shifted.draw(generator(), 1000).min() >= 5000


def test_a_lognormal_without_spread_is_constant():
    assert set(read({"lognormal": {"median": "2ms", "sigma": 0}}).draw(generator(), 100).tolist()) == {2000}


def test_a_failure_inside_scipy_is_a_mistake_of_the_scenario(monkeypatch):
    def fail(*_):
        raise RuntimeError("no convergence")

    monkeypatch.setattr(type(stats.burr12), "_ppf", fail)
    assert refused(EXAMPLES["scipy"]) == "scipy: scipy cannot compute burr12 here (no convergence)"


def test_scipy_without_a_mean_has_an_infinite_one():
    assert read({"scipy": {"name": "cauchy", "scale": "1ms"}}).mean_us() == math.inf


@given(
    st.sampled_from(VARYING),
    st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=20),
)
def test_no_uniform_gives_a_negative_or_undefined_value(name, uniform):
    values = read(EXAMPLES[name]).quantile(np.array([*uniform, 0.0, math.nextafter(1.0, 0.0)]))
    assert not np.isnan(values).any()
    assert (values >= 0).all()


def test_extreme_parameters_give_finite_draws():
    extremes = [
        {"lognormal": {"median": "87600h", "sigma": 10}},
        {"weibull": {"shape": 0.05, "scale": "87600h"}},
        {"gamma": {"shape": 0.01, "scale": "87600h"}},
        {"gamma": {"shape": 1e6, "scale": "1us"}},
        {"pareto": {"alpha": 0.1, "min": "87600h"}},
        {
            "mixture": [
                {"weight": 1e-9, "of": "1ms"},
                {"weight": 1e9, "of": {"pareto": {"alpha": 0.1, "min": "1us"}}},
            ]
        },
    ]
    for data in extremes:
        values = read(data).draw(generator(), 1000)
        assert values.min() >= 0
        assert values.max() <= MAX_DURATION_US


@pytest.fixture
def measured(tmp_path):
    (tmp_path / "claims.csv").write_text("op,ms\nclaim,1.5\nclaim,40\nread,2.25\n", encoding="utf-8")
    return tmp_path


def empirical(folder, **keys):
    data = {"empirical": {"csv": "claims.csv", "column": "ms", **keys}}
    return ADAPTER.validate_python(data, context={"folder": folder})


def test_a_column_of_a_file_becomes_values(measured):
    distribution = empirical(measured)
    assert distribution.values == (1500, 2250, 40_000)
    assert ADAPTER.dump_python(distribution, mode="json") == {
        "empirical": {"source": "claims.csv, column ms", "unit": "us", "values": [1500, 2250, 40_000]}
    }
    assert distribution.mean_us() == pytest.approx(43_750 / 3)
    assert set(distribution.draw(generator(), 100).tolist()) == {1500, 2250, 40_000}


def test_what_was_read_from_a_file_needs_it_no_more(measured):
    distribution = empirical(measured, unit="s")
    (measured / "claims.csv").unlink()
    assert read(ADAPTER.dump_python(distribution, mode="json")) == distribution


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("op,us\nclaim,1\n", "has no column 'ms' (legal here: op, us)"),
        ("op,ms\nclaim,1\nclaim,fast\n", ":3: 'fast' is not a number"),
        ("op,ms\nclaim\n", ":2: null is not a number"),
        ("op,ms\n", "has no rows"),
        ("", "has no column 'ms' (nothing is legal here)"),
        ("op,ms\nclaim,nan\n", "nan ms is not a duration from 0 to ten years"),
        ("ms\n" + "1\n" * 50_001, "has more than 50000 rows; keep a sample of them"),
        (None, "cannot read"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / "claims.csv").write_text(content, encoding="utf-8")
    with pytest.raises(ValidationError) as caught:
        empirical(tmp_path)
    assert message in str(caught.value.errors()[0]["ctx"]["error"])


def test_the_catalogue_has_an_example_and_a_formula_of_each(measured):
    rows = catalogue()
    assert [name for name, _, _ in rows] == list(EXAMPLES)
    for name, example, formula in rows:
        data = yaml.safe_load(example)
        assert list(data) == [name]
        ADAPTER.validate_python(data, context={"folder": measured})
        assert formula


def test_scipy_is_imported_only_where_a_scenario_asks_for_it():
    code = (
        "import sys; from pydantic import TypeAdapter; from sim.distributions import Distribution\n"
        "read = TypeAdapter(Distribution).validate_python\n"
        "read({'lognormal': {'median': '2ms', 'p99': '9ms'}}).mean_us()\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'scipy']"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
