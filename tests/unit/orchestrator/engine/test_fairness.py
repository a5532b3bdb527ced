"""Who may have how much of a tier."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstline.orchestrator.engine.fairness import Claimant, share
from firstline.schemas.job import Priority

CLAIMANTS = st.lists(
    st.builds(Claimant, job=st.uuids().map(str), tenant=st.sampled_from("abc"), priority=st.sampled_from(Priority)),
    min_size=1,
    max_size=8,
    unique_by=lambda one: one.job,
)


@given(CLAIMANTS)
def test_shares_are_above_zero_and_sum_to_one(claimants: list[Claimant]) -> None:
    shares = [share(one.job, claimants) for one in claimants]
    assert all(part > 0 for part in shares)
    assert sum(shares) == pytest.approx(1)


def test_tenants_share_alike_however_many_jobs_they_have() -> None:
    many = [Claimant(f"a{n}", "a", Priority.NORMAL) for n in range(9)]
    assert share("b", [*many, Claimant("b", "b", Priority.LOW)]) == 0.5


def test_jobs_of_a_tenant_share_by_priority() -> None:
    jobs = [Claimant(priority.value, "a", priority) for priority in Priority]
    assert [round(share(one.job, jobs) * 7) for one in jobs] == [4, 2, 1]


def test_a_job_that_nobody_competes_with_gets_everything() -> None:
    assert share("a", []) == 1
