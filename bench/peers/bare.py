"""aiokafka alone: a transactional loop that consumes, maps and produces in batches, as fast as it goes."""

from __future__ import annotations

import asyncio
import sys
from importlib.metadata import version

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from bench.peers.job import Meter, mapped

SAID = (
    "one transaction for each getmany(max_records=3000), create_batch/send_batch, zstd, acks=all, read_committed, "
    "orjson; exactly once"
)


async def run(brokers: str, source: str, target: str, count: int, partitions: int) -> None:
    meter = Meter(count)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=brokers, isolation_level="read_committed", enable_auto_commit=False, fetch_max_wait_ms=50
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=brokers, transactional_id="peer-bare", acks="all", linger_ms=0, max_batch_size=524_288,
        compression_type="zstd",
    )  # fmt: skip
    await consumer.start()
    await producer.start()
    try:
        consumer.assign([TopicPartition(source, partition) for partition in range(partitions)])
        await consumer.seek_to_beginning()
        while True:
            fetched = await consumer.getmany(timeout_ms=200, max_records=3_000)
            if not fetched:
                continue
            await producer.begin_transaction()
            sent = []
            for tp, records in fetched.items():
                batch = producer.create_batch()
                for r in records:
                    value = orjson.dumps(mapped(orjson.loads(r.value)))
                    batch.append(timestamp=r.timestamp, key=r.key, value=value, headers=[])
                batch.close()
                sent.append(await producer.send_batch(batch, target, partition=tp.partition))
            await asyncio.gather(*sent)
            places = {tp: records[-1].offset + 1 for tp, records in fetched.items()}
            await producer.send_offsets_to_transaction(places, "peer-bare")
            await producer.commit_transaction()
            if meter.add(sum(map(len, fetched.values()))):
                break
    finally:
        await producer.stop()
        await consumer.stop()
    meter.tell(f"aiokafka {version('aiokafka')}", SAID)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))
