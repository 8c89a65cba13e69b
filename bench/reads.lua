-- For wrk: gets a path of each device in turn.
-- wrk ... -s bench/reads.lua URL -- PATH DEVICES
-- PATH has %s for a device's number of 6 digits, or nothing.
-- Prints one JSON object when it ends; times in microseconds.

local path, devices
local number = 0

function init(args)
   path, devices = args[1], tonumber(args[2])
end

function request()
   number = (number + 7919) % devices
   return wrk.format("GET", path:format(("%06d"):format(number)))
end

function done(summary, latency, _)
   local errors = summary.errors
   io.write(string.format(
      '{"requests": %d, "duration": %d, "errors": %d, "p50": %d, "p99": %d, "p999": %d}\n',
      summary.requests, summary.duration,
      errors.connect + errors.read + errors.write + errors.status + errors.timeout,
      latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
