# SPDX-License-Identifier: Apache-2.0
"""hakuna-pipeline MODEL TP PROMPT [graph]: section 4.2 of the guide, with its answer as JSON on the last line."""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
import traceback

#: Seconds that the engine has for its end. ``RayExecutor.stop`` waits without a limit for ``stop_async`` on every
#: worker ("hope this will not lead to hanging"); one that has begun its next step waits in it for those that stopped.
CLOSING = 60.0


def main(model_path: str, tp: str, prompt: str, mode: str = "eager") -> None:
    """The guide's example; ASCEND_RANK_TABLE_FILE_PATH comes with the environment."""
    lmdeploy = importlib.import_module("lmdeploy")
    backend_config = lmdeploy.PytorchEngineConfig(tp=int(tp), device_type="ascend", eager_mode=mode != "graph")
    with lmdeploy.pipeline(model_path, backend_config=backend_config) as pipe:
        begun = time.time()
        outputs = pipe(prompt)
        seconds = time.time() - begun
        output = outputs[0] if isinstance(outputs, list) else outputs
        answer = {
            "text": output.text,
            "seconds": round(seconds, 4),
            "input_tokens": getattr(output, "input_token_len", None),
            "output_tokens": getattr(output, "generate_token_len", None),
        }
        say(answer)
        late = threading.Timer(CLOSING, give_up, (answer,))
        late.daemon = True
        late.start()
    late.cancel()
    say({**answer, "closed": True})


def say(answer: dict[str, object]) -> None:
    """The last such line is what counts."""
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
    sys.stdout.flush()


def give_up(answer: dict[str, object]) -> None:
    """End the process: Ray ends the workers of a driver that is gone, and so frees their devices."""
    say({**answer, "closed": False})
    os._exit(0)


if __name__ == "__main__":
    try:
        main(*sys.argv[2:])
    except Exception as error:  # noqa: BLE001  # whatever it is, the controller reports it
        traceback.print_exc()
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        say({"error": "%s: %s" % (type(cause).__name__, cause)})  # noqa: UP031
        os._exit(1)  # engine processes may hang about after a failure
