from __future__ import annotations

import pytest
import torch

from flare_trt.training.distil.depthwise import DepthwiseConv3d


@pytest.mark.parametrize("stride", [(1, 1, 1), (1, 2, 2)])
def test_values_and_gradients_are_those_of_torch(stride: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    ours = DepthwiseConv3d(3, stride)
    plain = torch.nn.Conv3d(3, 3, 3, stride, padding=1, groups=3)
    plain.load_state_dict(ours.state_dict())
    first, second = (torch.randn(2, 3, 5, 6, 7, generator=torch.Generator().manual_seed(1), requires_grad=True) for _ in range(2))
    weight = torch.randn(plain(second).shape)
    (ours(first) * weight).sum().backward()
    (plain(second) * weight).sum().backward()
    torch.testing.assert_close(ours(first), plain(second))
    torch.testing.assert_close(first.grad, second.grad)
    for mine, theirs in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, atol=1e-4, rtol=1e-4)


def test_no_gradient_is_kept_where_none_is_wanted() -> None:
    with torch.no_grad():
        assert not DepthwiseConv3d(2, (1, 1, 1))(torch.randn(1, 2, 3, 4, 5)).requires_grad
