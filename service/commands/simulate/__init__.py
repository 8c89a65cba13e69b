"""`energy simulate`: a fleet that looks real, sent over HTTP, and a check of what the service makes of it.

fleet    what meters and vehicles measure, minute by minute
feed     their readings in the order in which they are sent, some of them late, twice or broken
drive    sending: on time or as fast as they are answered, with retries
tally    what became of them
check    what the service answers, beside what was sent
view     all of it on a terminal
"""
