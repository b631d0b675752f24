"""Kafka: topics and their guards, the log's reader and writer, the Faust apps."""
