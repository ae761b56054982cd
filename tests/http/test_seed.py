"""A live system's seed: three names, one claim."""

from __future__ import annotations

import pytest

from ironwake.methods import live
from ironwake.profile import Method
from ironwake_http.stock import ORDER, Stock
from ironwake_testing.core import make_bench


@pytest.mark.parametrize("method", list(Method))
def test_only_the_names_of_its_own_payload_reach_the_claim(method: Method) -> None:
    """Asking for anything else must not use it up."""
    bench = make_bench().with_method(method)
    stock = Stock(bench.index())
    installer = {"preseed.cfg", "late.sh", "pre.sh"}
    names = (ORDER, *installer, *live.FILES, "passwd", "")
    own = {Method.SCRIPT: installer, Method.LIVE: set(live.FILES)}.get(method, {ORDER})
    fits = {name for name in names if stock.payload_fits(bench.deployment.token, name)}
    assert fits == own


def test_a_token_that_is_newer_than_the_view_may_be_of_any_method() -> None:
    """The controller decides; a name that no deployment has is refused all the same."""
    stock = Stock(make_bench().index())
    assert all(stock.payload_fits("f" * 64, name) for name in (ORDER, "preseed.cfg", *live.FILES))
    assert not stock.payload_fits("f" * 64, "passwd")
