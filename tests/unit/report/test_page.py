import re
from types import SimpleNamespace

from wolter.report.page import Figure, render
from wolter.report.table import Column, Line, Table

TABLE = Table(
    "a < b",
    (Column("x", "X", "%"), Column("y", "Y", "")),
    (
        Line("mine", "measured", {"x": 1.0}, {"x": 0.5}),
        Line("theirs", "published", {"x": 2.0, "y": 3.0}, {}, 'a "paper"'),
    ),
)
REPORT = SimpleNamespace(
    title="net 1: <evaluation>", lead="", remarks=("few & far",), tables=(TABLE,), notes="± is half"
)


def page():
    figures = {"f.png": Figure("a figure", "to be <seen>", b"PNG")}
    facts = {"Dataset": {"rows": 3, "seed": None, "config": {"depth": 2}}, "Run": {}}
    return render(REPORT, figures, facts)


def test_tables_have_groups_sources_deviations_and_the_best():
    html = page()
    assert "<caption>a &lt; b</caption>" in html
    assert html.index('<tbody class="measured">') < html.index('<tbody class="published">')
    assert '<td><b>1.00</b><span class="deviation">±0.50</span></td><td>–</td>' in html
    assert 'title="a &#34;paper&#34;">theirs</th>' in html
    assert html.count("<tr") == html.count("</tr>") == 7
    assert html.count("<tbody") == html.count("</tbody>")


def test_texts_are_escaped_and_empty_facts_left_out():
    html = page()
    assert "<h1>net 1: &lt;evaluation&gt;</h1>" in html
    assert "<li>few &amp; far</li>" in html
    assert "to be &lt;seen&gt;" in html
    assert '<th scope="row">config</th><td>depth = 2</td>' in html
    assert "seed" not in html
    assert "<caption>Run</caption>" not in html
    assert 'class="lead"' not in html


def test_the_page_needs_nothing_from_outside():
    html = page()
    assert 'src="data:image/png;base64,UE5H"' in html
    assert "default-src &#39;none&#39;" in html
    assert not re.search(r"https?:|url\(|<script|<link", html)
