// Tells memfold what is said, from Node.js: records of docs/commands.md in a topic that `memfold ingest topic` reads.
// npm install && node produce.js localhost:9092 chats

const { Kafka, Partitioners, logLevel } = require("kafkajs");

async function main(servers, topic) {
  const kafka = new Kafka({ clientId: "my-app", brokers: servers.split(","), logLevel: logLevel.ERROR });
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  const record = {
    idempotency_key: "node-1",
    user_id: "node-user",
    messages: [{ role: "user", content: "I write in JavaScript" }],
    metadata: { channel: "web" },
    time: "2026-03-03T10:00:00Z",
  };
  await producer.connect();
  // acks -1 is acks=all. The user as the key keeps the order of what each one says. Sent twice on purpose: it counts once.
  for (let n = 0; n < 2; n++) {
    const messages = [{ key: record.user_id, value: JSON.stringify(record) }];
    for (const at of await producer.send({ topic, acks: -1, messages })) {
      console.log(`written: ${at.topicName}/${at.partition}@${at.baseOffset}`);
    }
  }
  await producer.disconnect();
}

main(...process.argv.slice(2)).catch((failure) => {
  console.error(`not written: ${failure.message}`);
  process.exit(1);
});
