-- wrk: sends the prepared requests of the file REQUESTS in turn over all connections.
-- File: repeated [u16 token length][token][u32 body length][body], little-endian.
local f = assert(io.open(os.getenv("REQUESTS"), "rb"))
local d = f:read("*a"); f:close()
local path = os.getenv("TARGET") or "/api/telemetry"
local i, n = 1, #d
wrk.method = "POST"

local function u(k, at)
  local v = 0
  for j = k - 1, 0, -1 do v = v * 256 + d:byte(at + j) end
  return v
end

function request()
  if i > n then i = 1 end
  local t = u(2, i)
  local token = d:sub(i + 2, i + 1 + t)
  local b = u(4, i + 2 + t)
  local from = i + 6 + t
  i = from + b
  local headers = {["Content-Type"] = "application/x-protobuf"}
  if t > 0 then headers["Authorization"] = "Bearer " .. token end
  return wrk.format("POST", path, headers, d:sub(from, from + b - 1))
end

function response(status) if status ~= 200 then bad = (bad or 0) + 1 end end
