-- Single-event deliveries for wrk: no two requests carry the same message or the same event.
-- wrk … URL -- PIECES FIRST: PIECES is a file whose lines are the parts of a body; between two of them stands a number
-- of twelve digits, as text where the line begins with "t", in base64 where it begins with "b". FIRST is where to count from.

local parts, kinds, number = {}, {}, 0
local encoded = {}

function init(args)
  local length = 0
  for line in io.lines(args[1]) do
    local kind, piece = line:sub(1, 1), line:sub(2)
    if #parts > 0 then
      kinds[#parts + 1] = kind
      parts[#parts + 1] = ""
      length = length + (kind == "b" and 16 or 12)
    end
    parts[#parts + 1] = piece
    length = length + #piece
  end
  -- Each body is as long as any other, so the head is written once.
  parts[1] = "POST / HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: " .. length
    .. "\r\n\r\n" .. parts[1]
  number = tonumber(args[2])
  local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  local function letter(index)
    return alphabet:sub(index + 1, index + 1)
  end
  -- Three digits are three bytes, which are four letters: a table of a thousand does for any number.
  for value = 0, 999 do
    local text = string.format("%03d", value)
    local bits = text:byte(1) * 65536 + text:byte(2) * 256 + text:byte(3)
    encoded[text] = letter(math.floor(bits / 262144)) .. letter(math.floor(bits / 4096) % 64)
      .. letter(math.floor(bits / 64) % 64) .. letter(bits % 64)
  end
end

function request()
  number = number + 1
  local text = string.format("%012d", number)
  local base64 = encoded[text:sub(1, 3)] .. encoded[text:sub(4, 6)] .. encoded[text:sub(7, 9)] .. encoded[text:sub(10, 12)]
  for place, kind in pairs(kinds) do
    parts[place] = kind == "b" and base64 or text
  end
  return table.concat(parts)
end

function done(summary, latency, requests)
  io.write(string.format(
    '\n{"requests": %d, "seconds": %.6f, "bad": %d, "lost": %d, "p50_ms": %.3f, "p99_ms": %.3f}\n',
    summary.requests, summary.duration / 1e6, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
