-- What both scripts share: ports, rates and counters of Pktgen-DPDK. Loaded with dofile.
-- Environment: TURNPIKE_PORTS "0" or "0,1" (which of pktgen's ports send), TURNPIKE_SECONDS, TURNPIKE_JSON (a file).
package.path = package.path .. ";?.lua;test/?.lua;app/?.lua"
require "Pktgen"

local measure = {}

measure.ports = os.getenv("TURNPIKE_PORTS") or "0"
measure.seconds = tonumber(os.getenv("TURNPIKE_SECONDS") or "5")

local function each_port()
	return string.gmatch(measure.ports, "%d+")
end

-- Packets sent and received so far, over all ports.
local function counted()
	local sent, received = 0, 0
	for port in each_port() do
		local stats = pktgen.portStats(port, "port")[tonumber(port)]
		sent = sent + stats.opackets
		received = received + stats.ipackets
	end
	return sent, received
end

-- Sends at that share of the link, in percent, for that many seconds; waits for what is still under way. Returns packets
-- sent and received, and per second.
function measure.trial(percent, seconds)
	pktgen.set(measure.ports, "rate", percent)
	pktgen.clr()
	pktgen.delay(200)
	local sent_before, received_before = counted()
	local began = os.time()
	pktgen.start(measure.ports)
	pktgen.delay(math.floor(seconds * 1000))
	pktgen.stop(measure.ports)
	-- The counters are refreshed once a second.
	pktgen.delay(2200)
	local sent, received = counted()
	sent = sent - sent_before
	received = received - received_before
	return {
		percent = percent,
		sent = sent,
		received = received,
		lost = math.max(sent - received, 0),
		sent_pps = sent / seconds,
		received_pps = received / seconds,
	}
end

function measure.show(t)
	printf("%8.3f %% of the link: sent %12.0f pps, came back %12.0f pps, lost %d of %d\n",
		t.percent, t.sent_pps, t.received_pps, t.lost, t.sent)
end

function measure.report(t)
	local path = os.getenv("TURNPIKE_JSON")
	local text = string.format(
		'{"percent":%.4f,"sent":%d,"received":%d,"lost":%d,"sent_pps":%.0f,"received_pps":%.0f}\n',
		t.percent, t.sent, t.received, t.lost, t.sent_pps, t.received_pps)
	printf("result %s", text)
	if path then
		local f = assert(io.open(path, "w"))
		f:write(text)
		f:close()
	end
end

-- The generator stands where its link is up and its pcap file is loaded.
function measure.prepare()
	pktgen.screen("off")
	pktgen.delay(1500)
	pktgen.set(measure.ports, "count", 0) -- without end
	pktgen.pcap(measure.ports, "on")
end

return measure
