// Tells memfold what is said, from Java: records of docs/commands.md in a topic that `memfold ingest topic` reads.
// java -cp 'libs/*' Produce.java localhost:9092 chats    with kafka-clients (and slf4j-api) in libs

import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

public class Produce {
    public static void main(String[] args) throws Exception {
        // acks=all: once it says so, no broker that dies takes the record with it.
        Map<String, Object> settings = Map.of("bootstrap.servers", args[0], "acks", "all", "enable.idempotence", true);
        String record = """
            {"idempotency_key": "java-1", "user_id": "java-user",
             "messages": [{"role": "user", "content": "I write in Java"}],
             "metadata": {"channel": "web"}, "time": "2026-03-03T10:00:00Z"}""";
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            // The user as the key keeps the order of what each one says. Sent twice on purpose: it counts once.
            for (int n = 0; n < 2; n++) {
                var at = producer.send(new ProducerRecord<>(args[1], "java-user", record)).get();
                System.out.println("written: " + at.topic() + "/" + at.partition() + "@" + at.offset());
            }
        }
    }
}
