"""VOSI and DALI documents: capabilities, availability, tables, examples."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.sax.saxutils import escape, quoteattr

from wolter.catalogue import formats
from wolter.catalogue.adql import schema
from wolter.catalogue.adql.names import Named
from wolter.catalogue.adql.obscore import OBSCORE
from wolter.catalogue.adql.words import in_queries
from wolter.catalogue.columns import Column
from wolter.serve.tap.config import TapConfig

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
_FEATURES = "ivo://ivoa.net/std/TAPRegExt#features-"
FEATURES = {
    "udf": (
        ("ivo_interval_overlaps(l1 NUMERIC, h1 NUMERIC, l2 NUMERIC, h2 NUMERIC) -> INTEGER",
         "1 if two intervals overlap, 0 if not"),
        ("ivo_hashlist_has(hashlist TEXT, item TEXT) -> INTEGER",
         "1 if a list of words, separated by hashes, has one of them, 0 if not"),
        ("ivo_string_agg(expression TEXT, delimiter TEXT) -> TEXT",
         "all values of a group, with a delimiter between them"),
    ),
    "adqlgeo": tuple(
        (name, "") for name in ("AREA", "BOX", "CENTROID", "CIRCLE", "CONTAINS", "COORD1",
        "COORD2", "COORDSYS", "DISTANCE", "INTERSECTS", "POINT", "POLYGON")
    ),
    "adql-string": (("LOWER", ""), ("UPPER", ""), ("ILIKE", "")),
    "adql-sets": (("UNION", ""), ("EXCEPT", ""), ("INTERSECT", "")),
    "adql-common-table": (("WITH", ""),),
    "adql-type": (("CAST", ""),),
    "adql-unit": (("IN_UNIT", ""),),
    "adql-offset": (("OFFSET", ""),),
}  # fmt: skip
_FORMAT_IDS = {
    "votable": "output-votable-binary2",
    "votable/td": "output-votable-td",
    "votable/b2": "output-votable-binary2",
}


def capabilities(base: str, config: TapConfig) -> str:
    """VOSI capabilities, with the limits of the service.

    Args:
        base: URL of the service.
        config: limits.
    """
    features = "".join(
        f'<languageFeatures type="{_FEATURES}{kind}">\n'
        + "".join(
            f"<feature><form>{escape(form)}</form>"
            + (f"<description>{escape(about)}</description>" if about else "")
            + "</feature>\n"
            for form, about in items
        )
        + "</languageFeatures>\n"
        for kind, items in FEATURES.items()
    )
    outputs = "".join(_output(each) for each in formats.FORMATS)
    kept, most = config.keep_s, config.keep_most_s
    return f"""{_HEAD}<vosi:capabilities xmlns:vosi="http://www.ivoa.net/xml/VOSICapabilities/v1.0"
 xmlns:vr="http://www.ivoa.net/xml/VOResource/v1.0" xmlns:vs="http://www.ivoa.net/xml/VODataService/v1.1"
 xmlns:tr="http://www.ivoa.net/xml/TAPRegExt/v1.0" {_XSI}>
<capability standardID="ivo://ivoa.net/std/TAP" xsi:type="tr:TableAccess">
<interface xsi:type="vs:ParamHTTP" role="std" version="1.1">
<accessURL use="base">{escape(base)}</accessURL>
</interface>
<dataModel ivo-id="ivo://ivoa.net/std/ObsCore#core-1.1">ObsCore-1.1</dataModel>
<language>
<name>ADQL</name>
<version ivo-id="ivo://ivoa.net/std/ADQL#v2.0">2.0</version>
<version ivo-id="ivo://ivoa.net/std/ADQL#v2.1">2.1</version>
<description>Astronomical Data Query Language</description>
{features}</language>
{outputs}<uploadMethod ivo-id="ivo://ivoa.net/std/TAPRegExt#upload-inline"/>
<uploadMethod ivo-id="ivo://ivoa.net/std/TAPRegExt#upload-http"/>
<retentionPeriod><default>{kept:.0f}</default><hard>{most:.0f}</hard></retentionPeriod>
<executionDuration><default>{config.job.seconds:.0f}</default>
<hard>{config.job.seconds:.0f}</hard></executionDuration>
<outputLimit><default unit="row">{min(config.rows, config.job.rows)}</default>
<hard unit="row">{config.job.rows}</hard></outputLimit>
<uploadLimit><hard unit="row">{config.upload_rows}</hard></uploadLimit>
</capability>
{_plain("VOSI#capabilities", base + "/capabilities")}
{_plain("VOSI#availability", base + "/availability")}
{_plain("VOSI#tables", base + "/tables")}
<capability standardID="ivo://ivoa.net/std/DALI#examples">
<interface xsi:type="vr:WebBrowser">
<accessURL use="full">{escape(base)}/examples</accessURL>
</interface>
</capability>
</vosi:capabilities>
"""


def availability(available: bool, note: str = "") -> str:
    """VOSI availability."""
    said = f"<vosi:note>{escape(note)}</vosi:note>" if note else ""
    return (
        f'{_HEAD}<vosi:availability xmlns:vosi="http://www.ivoa.net/xml/VOSIAvailability/v1.0">'
        f"<vosi:available>{str(available).lower()}</vosi:available>{said}</vosi:availability>\n"
    )


def tableset(every: Sequence[Named]) -> str:
    """VOSI tables."""
    parts = [
        f'{_HEAD}<vosi:tableset xmlns:vosi="http://www.ivoa.net/xml/VOSITables/v1.0" '
        f'xmlns:vs="http://www.ivoa.net/xml/VODataService/v1.1" {_XSI}>\n'
    ]
    for name, several in groupby(every, key=lambda named: named.schema):
        about = escape(schema.ABOUT[name])
        parts.append(f"<schema>\n<name>{name}</name>\n<description>{about}</description>\n")
        parts.extend(_table(named) for named in several)
        parts.append("</schema>\n")
    return "".join(parts) + "</vosi:tableset>\n"


def _output(each: formats.Format) -> str:
    identifier = _FORMAT_IDS.get(each.name)
    attribute = f' ivo-id="ivo://ivoa.net/std/TAPRegExt#{identifier}"' if identifier else ""
    aliases = "".join(f"<alias>{escape(word)}</alias>" for word in (each.name, *each.also))
    return f"<outputFormat{attribute}><mime>{escape(each.media)}</mime>{aliases}</outputFormat>\n"


def _plain(standard: str, url: str) -> str:
    return (
        f'<capability standardID="ivo://ivoa.net/std/{standard}">'
        '<interface xsi:type="vs:ParamHTTP" version="1.0">'
        f'<accessURL use="full">{escape(url)}</accessURL></interface></capability>'
    )


def _table(named: Named) -> str:
    kind = "view" if named is OBSCORE else "table"
    return (
        f'<table type="{kind}">\n<name>{named.full}</name>\n'
        f"<description>{escape(named.table.about)}</description>\n"
        + "".join(_column(named, column) for column in named.table.columns)
        + "".join(_keys(named))
        + "</table>\n"
    )


def _column(named: Named, column: Column) -> str:
    kind, arraysize = schema.datatype(column)
    size = f" arraysize={quoteattr(arraysize)}" if arraysize else ""
    extra = f" extendedType={quoteattr(column.xtype)}" if column.xtype else ""
    told = (("description", column.about), ("unit", column.unit), ("ucd", column.ucd),
            ("utype", column.utype))  # fmt: skip
    parts = "".join(f"<{tag}>{escape(text)}</{tag}>" for tag, text in told if text)
    flags = [word for word in ("indexed", "principal") if getattr(column, word)]
    flag = "".join(f"<flag>{word}</flag>" for word in flags)
    std = f' std="{str(named.schema != "wolter").lower()}"'
    return (
        f"<column{std}><name>{escape(in_queries(column.name))}</name>{parts}"
        f'<dataType xsi:type="vs:VOTableType"{size}{extra}>{kind}</dataType>{flag}</column>\n'
    )


def _keys(named: Named) -> Iterator[str]:
    for key in named.table.keys:
        pairs = "".join(
            f"<fkColumn><fromColumn>{a}</fromColumn><targetColumn>{b}</targetColumn></fkColumn>"
            for a, b in zip(key.columns, key.target_columns, strict=True)
        )
        target = f"{named.schema}.{key.target}"
        yield f"<foreignKey><targetTable>{target}</targetTable>{pairs}</foreignKey>\n"
