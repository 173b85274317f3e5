"""Self-contained HTML page of a report."""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from wolter.report import table
from wolter.spectra.evaluate import reference
from wolter.spectra.evaluate.evaluation import Evaluation


@dataclass(frozen=True)
class Picture:
    """Figure of a report: title, caption, PNG."""

    title: str
    caption: str
    png: bytes


STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
  max-width: 76rem; margin: 2rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.7rem; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; border-bottom: 1px solid #ddd; }
.lead { margin: 0; color: #444; }
.remarks { background: #fff7e0; border-left: 4px solid #e69f00; padding: .6rem 1rem .6rem 2rem;
  margin: 1.25rem 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 0 0 1.75rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding-bottom: .4rem; }
th, td { padding: .22rem .7rem; text-align: right; white-space: nowrap; }
thead th { border-bottom: 2px solid #1a1a1a; vertical-align: bottom; }
tbody th, .facts td { text-align: left; font-weight: 400; }
.facts td { white-space: normal; overflow-wrap: anywhere; }
.facts th { vertical-align: top; color: #555; }
tr.group th { font-size: .8rem; color: #666; padding-top: .7rem; text-transform: uppercase;
  letter-spacing: .04em; }
tbody.measured { background: #eef5fb; }
.unit, .deviation { font-weight: 400; color: #666; font-size: .82em; }
.unit { display: block; }
.deviation { margin-left: .25em; }
figure { margin: 0 0 2rem; }
figure img { max-width: 100%; height: auto; }
figcaption, .note { color: #555; font-size: .9rem; }
"""

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

DEFINITIONS = """
MFE is the mean of |y − ŷ| / |y|, RMSE the root of the mean of (y − ŷ)². Each is that of its own
estimator: the MFE of the estimate that makes it smallest, the RMSE of the posterior mean's.
The figure after ± is half the 68 % bootstrap interval. In bold: the smallest error of a column,
limits left out. Of a component, the counts misplaced are the mean over spectra of the sum of
|m − m̂| over channels per count m, and the RMS error is that of √m̂ − √m, where a channel's Poisson
noise is 0.5. Point at a published or limit row for its source.
"""


def render(
    evaluation: Evaluation, pictures: Mapping[str, Picture], facts: Mapping[str, str]
) -> str:
    """Render the HTML page.

    Args:
        evaluation: what it reports.
        pictures: figures by file name, in the order in which they appear.
        facts: more rows for the table of facts.
    """
    first = evaluation.models[0]
    title = f"{first.label}: evaluation on {evaluation.n:,} spectra"
    sections = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="lead">{_lead(evaluation)}</p>',
        remark_list(evaluation.remarks),
        "<h2>Errors</h2>",
        *(f'<div class="scroll">{table.to_html(each)}</div>' for each in evaluation.tables),
        f'<p class="note">{DEFINITIONS.strip()}</p>',
        "<h2>Figures</h2>",
        *(figure(picture) for picture in pictures.values()),
        "<h2>Facts</h2>",
        fact_table("Dataset", evaluation.dataset.items()),
        *(fact_table(f"Training of {m.label}", m.training.items()) for m in evaluation.models),
        fact_table("Run", facts.items()),
        fact_table("Sources", (("published", reference.PUBLISHED), ("limits", reference.LIMIT))),
    ]
    return document(title, sections)


def document(title: str, sections: Iterable[str]) -> str:
    """HTML page of sections; empty ones are left out."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(section for section in sections if section)
        + "\n</body>\n</html>\n"
    )


def _lead(evaluation: Evaluation) -> str:
    first = evaluation.models[0]
    mean = first.errors.mean_mfe_percent
    low, high = mean.interval_95
    text = (
        f"Mean MFE <b>{table.format_value(mean.value)} %</b> (95 %: {table.format_value(low)} to "
        f"{table.format_value(high)}); {evaluation.exposure_s / 1e3:.4g} ks."
    )
    for other in evaluation.models[1:]:
        low, high = other.ratio.interval_95
        text += (
            f" Its ratio to {escape(other.label)}'s: {other.ratio.value:.3f} "
            f"({low:.3f} to {high:.3f})."
        )
    return text


def remark_list(remarks: Iterable[str]) -> str:
    """HTML list of remarks."""
    items = "".join(f"<li>{escape(remark)}</li>" for remark in remarks)
    return f'<ul class="remarks">{items}</ul>' if items else ""


def figure(picture: Picture) -> str:
    """A picture with its caption, embedded."""
    data = base64.b64encode(picture.png).decode()
    return (
        f'<figure><img alt="{escape(picture.title)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
    )


def fact_table(title: str, rows: Iterable[tuple[str, Any]]) -> str:
    """HTML table of names and values; empty ones are left out."""
    shown = [(key, value) for key, value in rows if value not in ("", None, [], {}, ())]
    if not shown:
        return ""
    body = "".join(
        f'<tr><th scope="row">{escape(key.replace("_", " "))}</th><td>{_value(value)}</td></tr>'
        for key, value in shown
    )
    return f'<table class="facts"><caption>{escape(title)}</caption><tbody>{body}</tbody></table>'


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "<br>".join(f"{escape(str(key))} = {_value(each)}" for key, each in value.items())
    return escape(value if isinstance(value, str) else json.dumps(value))
