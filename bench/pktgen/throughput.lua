-- One trial at a fixed share of the link: TURNPIKE_PERCENT (100), TURNPIKE_SECONDS (5). See run.
local measure = dofile((os.getenv("TURNPIKE_PKTGEN") or ".") .. "/measure.lua")

measure.prepare()
local t = measure.trial(tonumber(os.getenv("TURNPIKE_PERCENT") or "100"), measure.seconds)
measure.show(t)
measure.report(t)
os.exit(0)
