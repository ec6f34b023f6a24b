#!/usr/bin/python3
"""Prints an SQL script: 200,000 inserts in one transaction, an index, aggregates. The demo, a test and a benchmark run it."""
ROWS = 200_000


def script(rows=ROWS):
    lines = ["PRAGMA journal_mode = memory;", "CREATE TABLE measure (id INTEGER PRIMARY KEY, sensor TEXT, value REAL);", "BEGIN;"]
    lines += [f"INSERT INTO measure VALUES ({i}, 'sensor{i % 97}', {i * 2654435761 % 1000003 / 8});" for i in range(rows)]
    lines += ["COMMIT;", "CREATE INDEX by_sensor ON measure (sensor, value);",
              "SELECT sensor, count(*), round(avg(value), 6), min(value), max(value) FROM measure GROUP BY sensor ORDER BY sensor;",
              "SELECT count(*) FROM measure WHERE value BETWEEN 1000 AND 2000;",
              "UPDATE measure SET value = value + 1 WHERE id % 10 = 0;",
              "SELECT sum(value), count(DISTINCT sensor) FROM measure;", "PRAGMA integrity_check;"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(script(), end="")
