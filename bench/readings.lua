-- For wrk: posts readings that no other has posted, of 10,000 meters in turn, a minute apart.
-- wrk ... -s bench/readings.lua URL -- PREFIX START READINGS [TOKEN]
-- PREFIX of the meter ids, START in seconds of Unix time, READINGS a request: 1 is a single object, more is NDJSON.
-- TOKEN of an API key.
-- Prints one JSON object when it ends; times in microseconds.

local METERS = 10000
local READING = '{"meterId":"%s%05d","kwhConsumedAc":%.6f,"voltage":%.1f,"timestamp":"%s"}'

local prefix, start, size
local sent = 0
local minute, time = -1, nil

function init(args)
   prefix, start, size = args[1], tonumber(args[2]), tonumber(args[3])
   wrk.method = "POST"
   if args[4] and args[4] ~= "" then
      wrk.headers["Authorization"] = "Bearer " .. args[4]
   end
   wrk.headers["Content-Type"] = size > 1 and "application/x-ndjson" or "application/json"
end

local function reading()
   local device = sent % METERS
   if math.floor(sent / METERS) ~= minute then
      minute = math.floor(sent / METERS)
      time = os.date("!%Y-%m-%dT%H:%M:%SZ", start + 60 * minute)
   end
   sent = sent + 1
   return READING:format(prefix, device, 0.05 + device / 1e6, 225 + sent % 100 / 10, time)
end

function request()
   if size == 1 then
      return wrk.format(nil, nil, nil, reading())
   end
   local lines = {}
   for n = 1, size do
      lines[n] = reading()
   end
   return wrk.format(nil, nil, nil, table.concat(lines, "\n"))
end

function done(summary, latency, _)
   local errors = summary.errors
   io.write(string.format(
      '{"requests": %d, "duration": %d, "errors": %d, "p50": %d, "p99": %d, "p999": %d}\n',
      summary.requests, summary.duration,
      errors.connect + errors.read + errors.write + errors.status + errors.timeout,
      latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
