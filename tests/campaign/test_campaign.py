"""A short campaign: damaged files, killed trainings, a full disk and spoilt configs, and nothing wrong comes of it."""

import pytest
from faults import OUTCOMES, campaign, table


@pytest.mark.usefixtures("folder")
def test_no_fault_leads_to_a_wrong_result_a_trace_or_a_hang(finished_run):
    tries = list(campaign(finished_run, seed=1, damages=10, kills=2, full=2, configs=20))
    assert [one for one in tries if one[2] not in ("told", "unharmed")] == []
    assert {one[2] for one in tries} == {"told", "unharmed"}
    assert table(tries).count("\n") > len(OUTCOMES)
