"""What runs Kafka: a Java, the checked jars, and how the two are called."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from memfold.infra.java import Java

# Small heap, one collector thread, no second compiler: quick to start and about 200 MB resident. No files in /tmp.
JAVA_OPTIONS = (
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "-Xlog:all=error",
    "-Djava.awt.headless=true",
    "-Djava.io.tmpdir=tmp",
    "-Dlog4j2.configurationFile=log4j2.properties",
)

# Options that a shell sets for other Java programs: agents, heap sizes and class paths that are not this broker's.
_NOT_OURS = frozenset({"JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH"})


@dataclass(frozen=True, slots=True)
class KafkaRuntime:
    """A Java and the jars of the class path; `fast_start` is the file of classes loaded beforehand, if there is one."""

    java: Java
    jars: tuple[Path, ...]
    fast_start: Path | None = None

    def command(self, logs: Path, program: Sequence[str], options: Sequence[str] = ()) -> tuple[str, ...]:
        """The argv of a class of Kafka's with its arguments; to be run in `<home>/kafka`, its log goes to `logs`."""
        faster = (f"-XX:AOTCache={self.fast_start}",) if self.fast_start else ()
        logging = (f"-Dmemfold.logs={logs}", f"-XX:ErrorFile={logs}/broker-crash-%p.log")
        class_path = ":".join(map(str, self.jars))
        return (
            str(self.java.executable),
            *JAVA_OPTIONS,
            *faster,
            *options,
            *logging,
            "-cp",
            class_path,
            *program,
        )


def java_environment() -> dict[str, str]:
    """This process's environment without what would change the broker's Java behind its back."""
    return {name: value for name, value in os.environ.items() if name not in _NOT_OURS}
