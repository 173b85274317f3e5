"""Spectra of a request as one batch."""

import torch

from wolter.spectra.reading import Record
from wolter.spectra.records import Records
from wolter.spectra.schema import SpectraBatch


def record(name, counts, flags=(), areascale=1.0):
    counts_BC, one_B = torch.tensor([counts]), torch.ones(1)
    return Record(name, SpectraBatch(counts_BC, counts_BC, one_B, 100 * one_B), flags, areascale)


RECORDS = Records.of(
    [
        record("a", [1.0, 2.0], ("band_not_covered",)),
        record("b", [3.0, 4.0], areascale=0.5),
        record("c", [5.0, 6.0]),
    ]
)


def test_records_keep_their_order_and_what_is_told_of_each():
    assert len(RECORDS) == 3
    assert RECORDS.names == ["a", "b", "c"]
    assert RECORDS.batch.counts_BC.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert RECORDS.exposure_s == [100, 200, 100]


def test_a_part_is_of_the_same_memory():
    part = RECORDS[1:]
    assert (part.names, part.exposure_s, part.flags) == (["b", "c"], [200, 100], [(), ()])
    assert part.batch.counts_BC.data_ptr() == RECORDS.batch.counts_BC[1:].data_ptr()


def test_remarks_on_reading_come_before_what_is_found():
    found = [["anomalous"], [], ["no_counts"]]
    assert RECORDS.remarks(found) == [["band_not_covered", "anomalous"], [], ["no_counts"]]
