// The names of reasons for which streams end, and what each means. Any thread.
#include "controlplane/turn/stream/stream.h"

static const struct {
	const char *name;
	const char *text;
} reasons[TURN_STREAM_CLOSE_COUNT] = {
	[TURN_STREAM_CLOSE_CLIENT] = { "client", "the client closed the connection" },
	[TURN_STREAM_CLOSE_NETWORK] = { "network",
					"the connection was reset, or nothing was acknowledged" },
	[TURN_STREAM_CLOSE_NO_HANDSHAKE] = { "no_handshake",
					     "the PROXY header, the TLS handshake or the first "
					     "byte took too long" },
	[TURN_STREAM_CLOSE_NO_ALLOCATION] = { "no_allocation",
					      "there was no allocation for too long" },
	[TURN_STREAM_CLOSE_HANDSHAKE_RATE] = { "handshake_rate",
					       "too many TLS handshakes a second, of the client's "
					       "address or in all" },
	[TURN_STREAM_CLOSE_TLS] = { "tls", "the TLS handshake or a record was refused" },
	[TURN_STREAM_CLOSE_PROXY] = { "proxy_header", "no valid PROXY protocol v2 header came" },
	[TURN_STREAM_CLOSE_FIRST_BYTE] = { "framing_first_byte",
					   "neither STUN nor ChannelData where a message begins" },
	[TURN_STREAM_CLOSE_STUN_LENGTH] = { "framing_stun_length",
					    "a STUN length that is no multiple of 4" },
	[TURN_STREAM_CLOSE_STUN_COOKIE] = { "framing_stun_cookie",
					    "a STUN header without the magic cookie" },
	[TURN_STREAM_CLOSE_SLOW_READER] = { "slow_reader",
					    "the client did not read what was sent to it" },
	[TURN_STREAM_CLOSE_PEER] = { "peer", "the peer's TCP connection ended (RFC 6062)" },
	[TURN_STREAM_CLOSE_KILLED] = { "killed", "an operator ended it" },
	[TURN_STREAM_CLOSE_SHUTDOWN] = { "shutdown", "the control plane stopped" },
	[TURN_STREAM_CLOSE_MEMORY] = { "memory", "out of memory" },
};

const char *turn_stream_close_name(enum turn_stream_close_reason r)
{
	return r < TURN_STREAM_CLOSE_COUNT ? reasons[r].name : "unknown";
}

const char *turn_stream_close_text(enum turn_stream_close_reason r)
{
	return r < TURN_STREAM_CLOSE_COUNT ? reasons[r].text : "unknown";
}
