"""`energy simulate`: a realistic fleet, sent over HTTP, and a check of the service's answers.

fleet    measurements of meters and vehicles, interval by interval
feed     their readings in the order of sending, some of them late, twice or broken
drive    sending: on time or as fast as possible, with retries
tally    outcomes
check    the service's answers, compared with the readings sent
alerts   the service's alerts, compared with the faults of the fleet
view     all of it on a terminal
"""
