"""DocETL: a pipeline of one `map` operation over a JSON file, in threads."""

import json
import os
import tempfile
from pathlib import Path

from common import WARM, Task, clocked, read_task
from docetl.runner import DSLRunner


def main() -> None:
    import litellm

    task = read_task()
    folder = Path(tempfile.mkdtemp(prefix="docetl-bench-"))
    os.environ["DOCETL_HOME_DIR"] = str(folder)
    # Its token counter wants a file from the network; litellm brings it along.
    os.environ["TIKTOKEN_CACHE_DIR"] = str(Path(litellm.__file__).parent / "litellm_core_utils" / "tokenizers")
    system, *_, user = (message["content"] for message in task.template["messages"])

    def mapped(first: int, count: int) -> list[str]:
        rows = [{"text": f"peer {os.getpid()} {first + n}"} for n in range(count)]
        (folder / "in.json").write_text(json.dumps(rows))
        runner = DSLRunner(_pipeline(task, folder, f"{system}\n\n{user}"), max_threads=task.at_once)
        runner.load_run_save()
        return [row["label"] for row in json.loads((folder / "out.json").read_text())]

    mapped(task.calls, WARM)
    clocked(lambda: mapped(0, task.calls), task.calls)


def _pipeline(task: Task, folder: Path, prompt: str) -> dict:
    call = {name: task.template[name] for name in ("api_base", "api_key")}
    operation = {
        "name": "ask",
        "type": "map",
        "model": task.template["model"],
        "prompt": prompt.replace("THE-ITEM", "{{ input.text }}"),
        "output": {"schema": {"label": "enum[a, b, c]"}, "mode": "structured_output"},
        "litellm_completion_kwargs": call,
        "bypass_cache": True,
    }
    return {
        "default_model": task.template["model"],
        "datasets": {"items": {"type": "file", "path": str(folder / "in.json")}},
        "operations": [operation],
        "pipeline": {
            "steps": [{"name": "all", "input": "items", "operations": ["ask"]}],
            "output": {"type": "file", "path": str(folder / "out.json"), "intermediate_dir": str(folder)},
        },
    }


if __name__ == "__main__":
    main()
