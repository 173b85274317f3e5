"""Reserved words of ADQL 2.1, which are quoted where they name a column."""

_WORDS = """
abs absolute acos action add all allocate alter and any are area as asc asin assertion at atan
atan2 authorization avg begin between bigint bit bit_length both box by cascade cascaded case
cast catalog ceiling centroid char character character_length char_length check circle close
coalesce collate collation column commit connect connection constraint constraints contains
continue convert coord1 coord2 coordsys corresponding cos cot count create cross current
current_date current_time current_timestamp current_user cursor date day deallocate decimal
declare default deferrable deferred degrees delete desc describe descriptor diagnostics
disconnect distance distinct domain double drop else end escape except exception exec execute
exists exp external extract false fetch first float floor for foreign found from full get global
go goto grant group having hour identity ilike immediate in indicator initially inner input
insensitive insert int integer intersect intersects interval into in_unit is isolation join key
language last leading left level like local log log10 lower match max min minute mod module
month names national natural nchar next no not null nullif numeric octet_length of offset on
only open option or order outer output overlaps pad partial pi point polygon position power
precision prepare preserve primary prior privileges procedure public radians rand read real
references region relative restrict revoke right rollback round rows schema scroll second
section select session session_user set sin size smallint some space sql sqlcode sqlerror
sqlstate sqrt substring sum system_user table tan temporary then time timestamp timezone_hour
timezone_minute to top trailing transaction translate translation trim true truncate union
unique unknown update upper usage user using value values varchar varying view when whenever
where with work write year zone
"""
RESERVED = frozenset(_WORDS.split())


def in_queries(name: str) -> str:
    """The name of a column as queries write it: quoted where it is a reserved word."""
    return f'"{name}"' if name.lower() in RESERVED else name
