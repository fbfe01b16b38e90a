"""Batches follow what X refuses."""

from xcapi_core.x_api.batch_size import MAX_BATCH_BYTES, BatchSize


def test_a_refused_batch_halves_the_next_and_an_accepted_full_one_doubles_it() -> None:
    size = BatchSize(500)
    size.refused(500)
    assert size.conversions == 250
    size.refused(250)
    assert size.conversions == 125
    size.accepted(125)
    assert size.conversions == 250
    size.accepted(249)
    assert size.conversions == 250, "a smaller batch says nothing about larger ones"
    size.accepted(250)
    size.accepted(500)
    assert size.conversions == 500


def test_larger_batch_that_x_took_meanwhile_counts_as_a_full_one() -> None:
    size = BatchSize(500)
    size.refused(500)
    size.refused(250)
    size.accepted(400)
    assert size.conversions == 250


def test_refused_small_batch_makes_for_smaller_ones_and_never_for_none() -> None:
    size = BatchSize(500)
    size.refused(20)
    assert size.conversions == 10
    for _ in range(9):
        size.refused(1)
    assert size.conversions == 1


def test_an_idle_time_leaves_at_least_a_sixth_of_a_full_batch_where_many_were_bad() -> None:
    size = BatchSize(500)
    size.refused(20)
    size.found_bad(10)
    size.idle()
    assert size.conversions == 83
    size.accepted(83)
    size.idle()
    assert size.conversions == 166, "what turned out to pass is kept"


def test_an_idle_time_of_batches_of_one_leaves_one() -> None:
    size = BatchSize(1)
    size.found_bad(100)
    size.idle()
    assert size.conversions == 1


def test_a_few_bad_ones_or_many_long_ago_leave_full_batches() -> None:
    size = BatchSize(500)
    size.refused(20)
    size.found_bad(4)
    size.idle()
    assert size.conversions == 500
    size.refused(20)
    size.found_bad(4)
    size.accepted(500)
    size.accepted(500)
    size.idle()
    assert size.conversions == 500


def test_what_is_no_matter_of_conversions_leaves_no_reason_for_small_batches() -> None:
    size = BatchSize(500)
    size.refused(20)
    size.start_over()
    assert size.conversions == 500


def test_bytes_are_halved_and_doubled_again_an_hour_later() -> None:
    size = BatchSize(500)
    assert size.bytes_at(0.0) == MAX_BATCH_BYTES == 2_000_000
    size.too_large(300_000, 0.0)
    assert size.bytes_at(3599.0) == 150_000
    assert size.bytes_at(3600.0) == 300_000
    assert size.bytes_at(7199.0) == 300_000
    size.too_large(300_000, 7_200.0)
    assert size.bytes_at(12_345.0) == 300_000, "somewhat more than an hour later, too"
    size.too_large(600_000, 12_345.0)
    for hour in range(2, 10):
        size.bytes_at(3600.0 * hour)
    assert size.bytes_at(3600.0 * 11) == MAX_BATCH_BYTES


def test_answers_that_overtake_each_other_do_not_enlarge_the_bytes() -> None:
    size = BatchSize(500)
    size.too_large(300_000, 0.0)
    size.too_large(600_000, 0.0)
    assert size.bytes_at(0.0) == 150_000
