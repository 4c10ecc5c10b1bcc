// Counters of a worker, drop reasons among them. One line each: name, what an operator reads. Pure:
// the control plane includes it for the names. The order is the index into shm_worker.counter;
// append only at the end of a list.
#ifndef TP_DROP_REASON_H
#define TP_DROP_REASON_H

#include <stdint.h>

#include "dataplane/contract/shm/worker_state.h"

#define DP_COUNTERS(X)                                                                             \
	X(RX_PKTS, "rx_pkts", "packets received from ports")                                       \
	X(RX_BYTES, "rx_bytes", "bytes received from ports")                                       \
	X(TX_PKTS, "tx_pkts", "packets handed to ports")                                           \
	X(TX_BYTES, "tx_bytes", "bytes handed to ports")                                           \
	X(UP_CHANNEL, "relay_up_channel", "ChannelData relayed from clients to peers")             \
	X(UP_SEND, "relay_up_send", "Send indications relayed from clients to peers")              \
	X(DOWN_CHANNEL, "relay_down_channel", "peer datagrams relayed to clients as ChannelData")  \
	X(DOWN_DATA, "relay_down_data", "peer datagrams relayed to clients as Data indications")   \
	X(HAIRPIN, "relay_hairpin", "datagrams relayed between two allocations of our own")        \
	X(BINDING, "binding_answered", "STUN Binding requests answered by the worker")             \
	X(CHALLENGE, "challenged",                                                                 \
	  "requests without integrity or with a stale nonce answered 401 or 438")                  \
	X(PUNT, "punted", "requests handed to the control plane")                                  \
	X(INJECT, "injected", "answers sent for the control plane")                                \
	X(KERNEL, "to_kernel", "packets handed to the kernel through the TAP twin")                \
	X(FROM_KERNEL, "from_kernel", "packets of the kernel sent through the port")               \
	X(REASSEMBLED, "reassembled", "datagrams put together from fragments")                     \
	X(FRAGMENT_HELD, "fragments_held",                                                         \
	  "fragments that became part of a datagram put together")                                 \
	X(FRAGMENTED, "fragmented", "datagrams sent as fragments because they exceed the MTU")     \
	X(SFU_CHECK, "ice_checks", "ICE connectivity checks answered")                             \
	X(SFU_CHECK_REFUSED, "ice_refused", "ICE connectivity checks answered with an error")      \
	X(SFU_DTLS, "dtls_punted", "DTLS datagrams handed to the control plane")                   \
	X(SFU_RTP, "srtp_received", "SRTP packets of publishers, verified")                        \
	X(SFU_RTCP, "srtcp_received", "SRTCP packets, verified")                                   \
	X(SFU_PROBE, "srtp_probes", "verified SRTP packets that carry padding alone")              \
	X(SFU_PASSED, "sfu_passed", "packets passed to the worker that owns their client")         \
	X(SFU_SHARED, "sfu_shared", "decrypted packets shared with another worker")                \
	X(SFU_FUSED, "sfu_fused",                                                                  \
	  "packets between the relay and the SFU that left the box nowhere")                       \
	X(STREAM_IN, "stream_in", "messages taken from clients over TCP, TLS and DTLS")            \
	X(STREAM_OUT, "stream_out", "messages handed to clients over TCP, TLS and DTLS")           \
	X(TURN_DTLS, "turn_dtls_punted",                                                           \
	  "DTLS records of TURN clients handed to the control plane")                              \
	X(ICMP_RELAYED, "icmp_relayed",                                                            \
	  "ICMP errors about relayed datagrams told to their clients")                             \
	X(ICMP_SENT, "icmp_sent", "packets too big or out of hops whose sender was told")          \
	X(ICMP_HELD, "icmp_held", "the same, not told because the sender was told often enough")

#define DP_DROP_REASONS(X)                                                                         \
	X(NOT_IP, "not_ip", "no IPv4 or IPv6 packet and no kernel path on this port")              \
	X(TRUNCATED, "truncated", "headers or announced length run past the end of the packet")    \
	X(BAD_HEADER, "bad_header",                                                                \
	  "IP version, header length, header checksum or UDP length is wrong")                     \
	X(OTHER_PROTOCOL, "other_protocol", "not UDP, and no kernel path on this port")            \
	X(NOT_OURS, "not_ours", "address or port is none of our listeners or relayed addresses")   \
	X(UNKNOWN_FIRST_BYTE, "unknown_first_byte", "neither STUN nor ChannelData (RFC 7983)")     \
	X(BAD_STUN, "bad_stun", "STUN header or attributes are malformed")                         \
	X(BAD_FINGERPRINT, "bad_fingerprint", "STUN FINGERPRINT does not match")                   \
	X(UNEXPECTED_STUN, "unexpected_stun",                                                      \
	  "STUN response, or an indication that servers do not take")                              \
	X(BAD_CHANNEL_DATA, "bad_channel_data",                                                    \
	  "ChannelData shorter than its length field, or channel out of range")                    \
	X(BAD_SEND, "bad_send",                                                                    \
	  "Send indication without peer address or data, or with an unknown attribute")            \
	X(NO_ALLOCATION, "no_allocation", "client has no allocation on this 5-tuple")              \
	X(ALLOCATION_EXPIRED, "allocation_expired", "the allocation's lifetime has passed")        \
	X(NO_CHANNEL, "no_channel", "the channel is not bound on this allocation")                 \
	X(CHANNEL_EXPIRED, "channel_expired",                                                      \
	  "the channel's or its permission's lifetime has passed")                                 \
	X(NO_PERMISSION, "no_permission", "no permission for this peer on this allocation")        \
	X(PERMISSION_EXPIRED, "permission_expired", "the permission's lifetime has passed")        \
	X(PEER_DENIED, "peer_denied", "the peer's address is denied by policy")                    \
	X(NO_RELAY, "no_relay", "no allocation holds this relayed port")                           \
	X(FAMILY_MISMATCH, "family_mismatch",                                                      \
	  "peer address family differs from the relayed address's")                                \
	X(NO_NEXT_HOP, "no_next_hop", "the next hop's MAC address is not resolved")                \
	X(TTL_EXPIRED, "ttl_expired", "TTL or Hop Limit reached 0")                                \
	X(TOO_BIG, "too_big", "exceeds the MTU and must not be fragmented")                        \
	X(FRAGMENT, "fragment", "a fragment that could not be put together")                       \
	X(PUNT_RATE, "punt_rate", "the source sends more requests than its limit")                 \
	X(PUNT_FULL, "punt_full", "the ring to the control plane is full")                         \
	X(PUNT_TOO_BIG, "punt_too_big", "request larger than any STUN message can be")             \
	X(CHALLENGE_SIZE, "challenge_size",                                                        \
	  "the answer would be too long for so short an unauthenticated request")                  \
	X(CHALLENGE_RATE, "challenge_rate", "the source has used up its unauthenticated answers")  \
	X(BAD_INJECT, "bad_inject",                                                                \
	  "the control plane's answer names an address or path that is not ours")                  \
	X(NO_MBUF, "no_mbuf", "packet memory is used up")                                          \
	X(TX_FULL, "tx_full", "the port's transmit queue is full")                                 \
	X(KERNEL_FULL, "kernel_full", "the TAP twin's queue is full")                              \
	X(HAIRPIN_LOOP, "hairpin_loop", "datagram came back to its own allocation")                \
	X(BAD_SOURCE, "bad_source",                                                                \
	  "source is port 0, an address of our own, or one that no host has")                      \
	X(INJECT_LOST, "inject_lost",                                                              \
	  "packet memory was used up for an answer of the control plane")                          \
	X(SFU_NO_CLIENT, "sfu_no_client",                                                          \
	  "DTLS or SRTP from an address that no ICE check has proved")                             \
	X(SFU_NO_KEYS, "sfu_no_keys", "SRTP before the DTLS handshake was done")                   \
	X(SFU_MALFORMED, "sfu_malformed", "RTP or RTCP that is malformed")                         \
	X(SFU_FORGED, "sfu_forged", "SRTP or SRTCP whose tag does not fit its bytes")              \
	X(SFU_REPLAYED, "sfu_replayed", "SRTP or SRTCP that came before, or too late")             \
	X(SFU_NO_STREAM, "sfu_no_stream", "RTP of a stream that the client did not offer")         \
	X(SFU_REPAIRED_TWICE, "sfu_repaired_twice",                                                \
	  "retransmission of what had come; browsers probe the path with such")                    \
	X(SFU_EXCHANGE_FULL, "sfu_exchange_full", "the ring to another worker is full")            \
	X(SFU_INSIDE_FULL, "sfu_inside_full",                                                      \
	  "too many packets from the SFU to the relay at once")                                    \
	X(SFU_NO_PATH, "sfu_no_path", "the client's address is not known or has no way out")       \
	X(STREAM_FULL, "stream_full",                                                              \
	  "the ring of data for clients over TCP, TLS and DTLS is full")                           \
	X(STREAM_TOO_BIG, "stream_too_big",                                                        \
	  "larger than a slot of the ring for clients over TCP, TLS and DTLS")                     \
	X(LIMIT_ALLOCATION, "limit_allocation",                                                    \
	  "the bytes per second of the allocation are used up (video first)")                      \
	X(LIMIT_USER, "limit_user", "the bytes per second of the user are used up (video first)")  \
	X(ICMP_MALFORMED, "icmp_malformed",                                                        \
	  "ICMP error about a relayed datagram with a wrong checksum")                             \
	X(ICMP_RATE, "icmp_rate", "more ICMP errors than a client is told of")                     \
	X(ICMP_UNWANTED, "icmp_unwanted",                                                          \
	  "ICMP error about what no relayed port sent, and no kernel path on this port")

#define DP_ENUM_COUNTER(id, name, text) DP_COUNTER_##id,
#define DP_ENUM_DROP(id, name, text)    DP_DROP_##id,

// Counters first, drop reasons behind them, in one index space.
enum dp_counter { DP_COUNTERS(DP_ENUM_COUNTER) DP_DROP_REASONS(DP_ENUM_DROP) DP_COUNTER_COUNT };
#define DP_DROP_FIRST DP_DROP_NOT_IP

static_assert((int)DP_COUNTER_COUNT <= SHM_COUNTERS_MAX, "raise SHM_COUNTERS_MAX");

struct dp_counter_info {
	const char *name; // as in --json and metrics
	const char *text; // as the CLI prints it
};

// Indexed by enum dp_counter.
extern const struct dp_counter_info dp_counter_info[DP_COUNTER_COUNT];

#endif
