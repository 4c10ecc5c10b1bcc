-- Stands in for Pktgen-DPDK's Lua API: a link of LINK_PPS toward a relay that forwards at most MOCK_CAPACITY of them a second and,
-- with MOCK_ALWAYS_LOSE, loses one packet of each trial. Time passes in pktgen.delay alone.
local LINK_PPS = 1000000
local capacity = tonumber(os.getenv("MOCK_CAPACITY"))
local always_lose = tonumber(os.getenv("MOCK_ALWAYS_LOSE") or "0")
local port = { rate = 100, running = false, opackets = 0, ipackets = 0, pcap = false, count = nil }

function printf(...)
	io.write(string.format(...))
end

pktgen = {}

function pktgen.screen() end

function pktgen.set(ports, what, value)
	assert(ports == "0", "ports " .. tostring(ports))
	assert(what == "rate" or what == "count", "pktgen.set of " .. tostring(what))
	assert(type(value) == "number" and value >= 0 and value <= 100, "value " .. tostring(value))
	port[what] = value
end

function pktgen.pcap(_, state)
	port.pcap = state == "on"
end

-- Clears what the screen shows; the port's counters go on.
function pktgen.clr() end

function pktgen.start()
	assert(port.pcap and port.count == 0, "the port is not prepared")
	port.running = true
	port.opackets = port.opackets + always_lose
end

function pktgen.stop()
	port.running = false
end

function pktgen.delay(ms)
	if port.running then
		local sent = math.floor(LINK_PPS * port.rate / 100 * ms / 1000)
		port.opackets = port.opackets + sent
		port.ipackets = port.ipackets + math.min(sent, math.floor(capacity * ms / 1000))
	end
end

function pktgen.portStats(which, kind)
	assert(tostring(which) == "0" and kind == "port")
	return { [0] = { opackets = port.opackets, ipackets = port.ipackets } }
end
