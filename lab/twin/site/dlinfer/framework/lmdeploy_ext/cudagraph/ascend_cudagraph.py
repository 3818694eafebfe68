# SPDX-License-Identifier: Apache-2.0
"""The runner that LMDeploy takes in both modes. There is no graph mode here: the real one captures ACL graphs."""

from __future__ import annotations

from typing import Any

from lmdeploy.pytorch.backends.graph_runner import GraphRunner

_SMALL, _MEDIUM = 16, 256


def get_ascend_compatible_size(size: int) -> int:
    """The batch size that a graph would be captured for: a power of 2, or a multiple of 16 or 256."""
    if size <= _SMALL:
        return 1 << max(size - 1, 0).bit_length()
    step = _SMALL if size <= _MEDIUM else _MEDIUM
    return (size + step - 1) // step * step


class AscendGraphRunner(GraphRunner):  # type: ignore[misc]  # LMDeploy is not typed
    """Computes eagerly, whatever is asked for: what graph mode does across nodes needs a device to be seen."""

    def __init__(
        self, model: Any, model_config: Any, cache_config: Any, backend_config: Any, device: Any, **_options: Any
    ) -> None:
        super().__init__(model, model_config, cache_config, backend_config, device)

    def __call__(self, **inputs: Any) -> Any:
        return self.model.make_output_buffers(self.model(**inputs))
