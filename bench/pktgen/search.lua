-- The highest rate without loss, RFC 2544 §26.1: halving the interval between a rate that passes and one that does not.
-- TURNPIKE_SECONDS (5) a trial, TURNPIKE_RESOLUTION (1) percent of the link, TURNPIKE_TOLERANCE (0) share that may be lost. See run.
local measure = dofile((os.getenv("TURNPIKE_PKTGEN") or ".") .. "/measure.lua")
local resolution = tonumber(os.getenv("TURNPIKE_RESOLUTION") or "1")
local tolerance = tonumber(os.getenv("TURNPIKE_TOLERANCE") or "0")
local low, high, percent = 0, 100, 100
local best = nil

measure.prepare()
while true do
	local t = measure.trial(percent, measure.seconds)
	measure.show(t)
	if t.sent > 0 and t.lost <= tolerance * t.sent then
		low, best = percent, t
	else
		high = percent
	end
	if low >= 100 or high - low <= resolution then
		break
	end
	percent = (low + high) / 2
end
if best then
	measure.report(best)
else
	printf("no rate passed without loss\n")
end
os.exit(best and 0 or 1)
