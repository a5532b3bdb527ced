"""The limit: `litellm.acompletion` gathered in one process, with nothing around it."""

import asyncio

from common import WARM, clocked, label_of, read_task


def main() -> None:
    import litellm

    task = read_task()

    async def gathered(first: int, count: int) -> list[str]:
        room = asyncio.Semaphore(task.at_once)

        async def one(n: int) -> str:
            async with room:
                return label_of(await litellm.acompletion(**task.request(n)))

        return await asyncio.gather(*(one(first + n) for n in range(count)))

    with asyncio.Runner() as runner:
        runner.run(gathered(task.calls, WARM))
        clocked(lambda: runner.run(gathered(0, task.calls)), task.calls)


if __name__ == "__main__":
    main()
