"""Reads requests, one a line: "zone" or "wall", zone, first second, how many ticks, cron line; tab-separated. Answers
each with the ticks after that second, in seconds since the epoch, or with what croniter said.

With "zone", croniter itself carries the line through the changes of the clocks. With "wall" it goes by the readings of
a clock that never changes, and what instants these stand for is looked up here."""

import datetime
import sys
import zoneinfo

from croniter import croniter

for request in sys.stdin:
    mode, zone, after, count, line = request.rstrip("\n").split("\t")
    zone = zoneinfo.ZoneInfo(zone)
    start = datetime.datetime.fromtimestamp(int(after), zone)
    if mode == "wall":
        start = start.replace(tzinfo=None)
    try:
        ticks = croniter(line, start, second_at_beginning=True)
        found = [ticks.get_next(datetime.datetime) for _ in range(int(count))]
        if mode == "wall":
            found = [tick.replace(tzinfo=zone) for tick in found]
        print(*(int(tick.timestamp()) for tick in found))
    except Exception as error:
        print("error:", type(error).__name__, str(error).replace("\n", " "))
