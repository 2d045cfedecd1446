-- Sends the bytes of a file as they are.
--
--   wrk -s wrk.lua URL -- FILE OFFSET EVERY
--
-- OFFSET is where the eight digits begin (counted from one) that are different
-- in every request; 0 when all requests are the same. Each EVERY-th request asks
-- for the connection to be closed; 0 for none. The result is one line
-- of JSON behind the word RESULT.

function init(args)
   local file = assert(io.open(args[1], "rb"))
   local raw = file:read("*a")
   file:close()
   local offset = tonumber(args[2])
   local every = tonumber(args[3])
   if every > 0 then
      local last = raw:gsub("\r\n\r\n$", "\r\nConnection: close\r\n\r\n")
      local number = 0
      function request()
         number = number + 1
         return number % every == 0 and last or raw
      end
   elseif offset == 0 then
      -- wrk asks once, and sends that without asking Lua again.
      wrk.format = function() return raw end
   else
      local before, after = raw:sub(1, offset - 1), raw:sub(offset + 8)
      local number = 0
      function request()
         number = number + 1
         return before .. string.format("%08d", number) .. after
      end
   end
end

function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      'RESULT {"requests": %d, "microseconds": %d, "bytes": %d, '
      .. '"connect": %d, "read": %d, "write": %d, "status": %d, '
      .. '"timeout": %d, "p50": %d, "p99": %d}\n',
      summary.requests, summary.duration, summary.bytes,
      errors.connect, errors.read, errors.write, errors.status,
      errors.timeout, latency:percentile(50), latency:percentile(99)))
end
