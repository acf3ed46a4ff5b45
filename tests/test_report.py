"""The report is one page that says all, needs nothing else, and can be read by everyone."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from typer.testing import CliRunner

import sim
from sim import results
from sim.cli import app
from sim.report import page, write_report
from sim.study import Means, arm_of, run_study
from tests.analysis.build import Builder, S, write_study

CONFLICT, EMPTY = "lease_conflict", "no_eligible_execution"
MOST_BYTES = 5_000_000


def made(arm, replication):
    build = Builder(arm, replication)
    for number in range(40):
        intent = build.intent(S, S + (number + 1) * 1000)
        build.contention(
            CONFLICT, S, intent, rival_actor="worker/1", rival_op="claim_execution", rival_age_us=7
        )
    build.contention(EMPTY, S, build.intent(S, 2 * S, "abandoned"))
    build.execution(S, 2 * S)
    return build.run()


WINDOW = {"fault": "crash", "target": "worker/0", "from_us": S, "to_us": 3 * S}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    arms = ("documented", "<b>naive & co</b>")
    return write_study(
        tmp_path_factory.mktemp("report"), [made(arm, r) for arm in arms for r in range(2)], name="storm",
        faults=[{"arm": arm, "replication": r, "windows": [WINDOW]} for arm in arms for r in range(2)],
        expectations=[
            {"arm": "documented", "expected": "sometimes", "kind": CONFLICT, "count": 80, "met": True},
            {"arm": "documented", "expected": "never", "kind": EMPTY, "count": 2, "met": False},
        ],
    )  # fmt: skip


@pytest.fixture(scope="module")
def html(study):
    return write_report(study).read_text("utf-8")


class Page(HTMLParser):
    """What a page is made of: elements with their attributes, in order, and the words inside."""

    VOID = ("meta", "link", "img", "br")

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.mistakes, self.text = [], [], [], {}
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        element = (tag, dict(attrs), len(self.elements))
        self.elements.append(element)
        if tag not in self.VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop()[0] != tag:
            self.mistakes.append(f"</{tag}> closes something else")

    def handle_data(self, data):
        for _, _, number in self.open:
            self.text[number] = self.text.get(number, "") + data

    def all(self, tag):
        return [
            (attributes, self.text.get(number, ""))
            for name, attributes, number in self.elements
            if name == tag
        ]


@pytest.fixture(scope="module")
def parsed(html):
    return Page(html)


def test_the_page_is_well_formed_and_its_names_are_unique(parsed):
    assert parsed.mistakes == []
    ids = [attributes["id"] for _, attributes, _ in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"][1:] for link, _ in parsed.all("a") if link["href"].startswith("#")} <= set(ids)


def test_headings_come_in_order_and_every_section_has_one(parsed):
    levels = [int(name[1]) for name, _, _ in parsed.elements if re.fullmatch("h[1-6]", name)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    titles = [text for _, text in parsed.all("h2")]
    assert titles == [
        "The question", "How the arms differ", "What came out", "How often", "How long recovery takes",
        "Who was in whose way", "When, and under which faults", "What the runs achieved", "What was checked",
        "How to do it again",
    ]  # fmt: skip
    assert len(parsed.all("section")) == len(titles)
    assert parsed.all("html")[0][0] == {"lang": "en"}
    assert "storm" in parsed.all("title")[0][1]


def test_every_picture_is_described_and_inside_the_page(parsed):
    pictures = parsed.all("img")
    assert len(pictures) == 10
    for attributes, _ in pictures:
        assert attributes["src"].startswith("data:image/png;base64,")
        assert len(attributes["alt"]) > 60
    assert "lease_conflict in documented: 80" in pictures[0][0]["alt"]
    assert len(parsed.all("figcaption")) == 10


def test_every_table_has_a_caption_and_headings_that_say_what_they_head(parsed):
    tables = parsed.all("table")
    assert len(tables) == len(parsed.all("caption")) == 8
    assert all("scope" in attributes for attributes, _ in parsed.all("th"))
    regions = [attributes for attributes, _ in parsed.all("div") if attributes.get("role") == "region"]
    assert len(regions) == len(tables)
    assert all(region["tabindex"] == "0" and region["aria-label"] for region in regions)


def test_it_refers_to_nothing_outside_itself(parsed):
    for _, attributes, _ in parsed.elements:
        for key in ("src", "href"):
            assert attributes.get(key, "#").startswith(("data:", "#"))
    assert "url(" not in parsed.all("style")[0][1] and "@import" not in parsed.all("style")[0][1]


def contrast(first, second):
    """Give the ratio of WCAG 2.2, section 1.4.3."""

    def luminance(colour):
        digits = "".join(2 * c for c in colour) if len(colour) == 3 else colour
        parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_words_stand_out_from_what_they_stand_on(parsed):
    """At least 4.5 to 1, against white and against the shade behind headings and code."""
    colours = dict(re.findall(r"--(\w+): #(\w+)", parsed.all("style")[0][1]))
    assert contrast("000", "fff") == pytest.approx(21)
    for name in ("ink", "faint", "link", "good", "bad"):
        assert contrast(colours[name], "fff") >= 4.5
        assert contrast(colours[name], colours["soft"]) >= 4.5


def test_it_tells_question_verdicts_expectations_faults_and_how_to_repeat(parsed, study):
    text = parsed.text[0]
    for words in (
        "Made by hand.", "Most frequent: lease_conflict (4.00 per s)", "1 of its expectations failed",
        "not met", study.fingerprint, "contention-sim compare storm.yaml --policies documented,",
        "Fault windows of all replications",
    ):  # fmt: skip
        assert words in text
    (download,) = [attributes for attributes, _ in parsed.all("a") if "download" in attributes]
    assert download["download"] == "storm.yaml"


def test_what_a_user_named_is_not_taken_for_html(html):
    assert "<b>naive" not in html
    assert "&lt;b&gt;naive &amp; co&lt;/b&gt;" in html


def test_the_same_study_gives_the_same_bytes(study, html):
    assert page(study, sorted((study.directory / "plots").glob("*.png"))) == page(
        results.open(study.directory), sorted((study.directory / "plots").glob("*.png"))
    )
    assert write_report(study).read_text("utf-8") == html


def test_without_contention_and_faults_it_says_so(tmp_path):
    text = Page(write_report(write_study(tmp_path, [Builder().run()])).read_text("utf-8")).text[0]
    for words in ("No intent met contention.", "No contention was met.", "No faults were planned."):
        assert words in text


def test_a_long_list_of_faults_is_cut_and_says_so(tmp_path):
    faults = [{"arm": "documented", "replication": 0, "windows": [WINDOW] * 500}]
    study = write_study(tmp_path, [Builder().run()], faults=faults)
    text = page(study, [])
    assert "the first 200 of 500; the others are in study.json" in text
    assert text.count(">worker/0<") == 200


def test_the_command_writes_it_and_says_where(study):
    result = CliRunner().invoke(app, ["report", str(study.directory)])
    assert result.output == f"report: {study.directory / 'report.html'}\n"
    missing = CliRunner().invoke(app, ["report", "nowhere"])
    assert (missing.exit_code, missing.stderr) == (2, "nowhere: there is no such folder\n")


# --- in a browser ------------------------------------------------------------------------------------

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed: apt-get install chromium"
)


def browse(path, profile, *options):
    command = [
        CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
        "--enable-logging=stderr", *options, path.as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    """claim_storm under three policies, shortened."""
    storm = sim.load("claim_storm", ["replications=3", "horizon.run=25s", "horizon.drain=10s"])
    arms = [arm_of(storm, arm) for arm in ("documented", "constant", "none")]
    study = run_study(storm, arms, "claim_storm", means=Means(tmp_path_factory.mktemp("storm")))
    return write_report(study)


def clicked(path, tmp_path, script, *options):
    """Run a script in the page after it was loaded; give what it wrote into the page's title."""
    probe = tmp_path / "probe.html"
    probe.write_text(path.read_text("utf-8").replace("</body>", f"<script>{script}</script></body>"), "utf-8")
    dom = browse(probe, tmp_path / "profile", "--dump-dom", *options)
    assert "CONSOLE" not in dom.stderr
    return re.search(r"<title>(.*?)</title>", dom.stdout, re.DOTALL)[1]


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("width", [1280, 420])
def test_it_opens_without_a_complaint_and_does_not_overflow(comparison, tmp_path, width):
    from matplotlib.image import imread

    assert comparison.stat().st_size < MOST_BYTES
    picture = tmp_path / "page.png"
    shot = browse(comparison, tmp_path / "profile", f"--window-size={width},2000", f"--screenshot={picture}")
    assert "CONSOLE" not in shot.stderr
    pixels = imread(picture)
    assert pixels.shape[:2] == (2000, width)
    assert 0.5 < (pixels[..., :3].mean(axis=2) > 0.99).mean() < 0.99
    script = "addEventListener('load', () => { document.title = document.body.scrollWidth - innerWidth; });"
    wide = clicked(comparison, tmp_path, script, f"--window-size={width},2000")
    assert int(wide) <= 0


@pytest.mark.slow
@needs_chromium
def test_a_click_on_a_heading_sorts_up_down_and_back(comparison, tmp_path):
    script = """
      const table = document.querySelector("#frequency table"), body = table.tBodies[0];
      const button = table.tHead.rows[0].cells[2].querySelector("button");
      const column = () => Array.from(body.rows, row => row.cells[2].dataset.sort).join(" ");
      const told = [column()];
      for (let click = 0; click < 3; click += 1) { button.click(); told.push(column()); }
      document.title = told.join("|");
    """
    first, down, up, back = (
        list(map(int, part.split())) for part in clicked(comparison, tmp_path, script).split("|")
    )
    assert down == sorted(first, reverse=True)
    assert up == sorted(first)
    assert back == first != down


@pytest.mark.slow
@needs_chromium
def test_it_prints(comparison, tmp_path):
    browse(comparison, tmp_path / "profile", f"--print-to-pdf={tmp_path / 'page.pdf'}")
    data = (tmp_path / "page.pdf").read_bytes()
    assert data.startswith(b"%PDF") and data.count(b"/Type /Page\n") + data.count(b"/Type /Page ") > 3
