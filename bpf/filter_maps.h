// The maps of the XDP filter and of the ingress guard: what BPF programs and user space must agree
// on. Included by both, so constants and fixed-width structs only.
//
// Writers: the control plane writes settings, locals and listeners; the programs write counters,
// rate buckets and fragments. All maps but `xsks_map` are pinned by name in the instance's bpffs.
#ifndef TP_BPF_FILTER_MAPS_H
#define TP_BPF_FILTER_MAPS_H

#ifdef __bpf__
#include <linux/types.h>
typedef __u8 uint8_t;
typedef __u16 uint16_t;
typedef __u32 uint32_t;
typedef __u64 uint64_t;
#define xdp_static_assert(condition, text) _Static_assert(condition, text)
#else
#include <assert.h>
#include <stdint.h>
#define xdp_static_assert(condition, text) static_assert(condition, text)
#endif

// Changes with any change of a struct or of the counters below; a pin of another version is
// refused.
#define XDP_FILTER_MAPS_VERSION 3

#define XDP_FILTER_LOCALS_MAX    256
#define XDP_FILTER_LISTENERS_MAX 1024
#define XDP_FILTER_SOURCES_MAX   65536 // rate buckets; the least recently used one is recycled
#define XDP_FILTER_FRAGMENTS_MAX 1024
#define XDP_FILTER_QUEUES_MAX    64
#define XDP_FILTER_SOFTWARE_MAX  32 // bytes of SOFTWARE, a multiple of 4

// xdp_filter_settings.flags
#define XDP_FILTER_F_ANSWER_BINDING 0x1 // answer STUN Binding requests here
#define XDP_FILTER_F_NAT_DISCOVERY  0x2 // some listeners have another address (RFC 5780)

// xdp_filter_local.flags
#define XDP_LOCAL_F_LISTENER 0x1 // an address that some listener uses
#define XDP_LOCAL_F_RELAY    0x2 // relay_port_min..relay_port_max are relayed ports

// xdp_filter_listener.accept: what a listener wants, by first byte (RFC 7983)
#define XDP_ACCEPT_STUN          0x01 // requests and indications
#define XDP_ACCEPT_STUN_RESPONSE 0x02
#define XDP_ACCEPT_CHANNEL       0x04 // ChannelData, 64..79
#define XDP_ACCEPT_DTLS          0x08 // 20..63
#define XDP_ACCEPT_RTP           0x10 // RTP and RTCP, 128..191
#define XDP_ACCEPT_QUIC          0x20 // 80..127, 192..255
#define XDP_ACCEPT_ZRTP          0x40 // 16..19
#define XDP_ACCEPT_TURN          (XDP_ACCEPT_STUN | XDP_ACCEPT_CHANNEL)

// Every frame that the filter sees moves exactly one counter below XDP_COUNTER_GUARD_DROPPED.
// X(name, text): the name is what CLI and metrics print, the text explains it in a sentence.
#define XDP_COUNTERS(X)                                                                            \
	X(PASSED_NOT_IP, "passed_not_ip", "not IP, or more than one VLAN tag: to the kernel")      \
	X(PASSED_TRUNCATED, "passed_truncated",                                                    \
	  "headers cut short before the destination was known: to the kernel")                     \
	X(PASSED_NOT_LOCAL, "passed_not_local",                                                    \
	  "not to a relay or listener address: to the kernel")                                     \
	X(PASSED_NOT_UDP, "passed_not_udp", "to our address, but no UDP of ours: to the kernel")   \
	X(PASSED_OTHER_PORT, "passed_other_port",                                                  \
	  "UDP to our address, but to no port of ours: to the kernel")                             \
	X(ANSWERED_BINDING, "answered_binding", "STUN Binding request answered by the filter")     \
	X(STEERED_LISTENER, "steered_listener", "to a listener: handed to a worker")               \
	X(STEERED_RELAY, "steered_relay", "to a relayed port: handed to a worker")                 \
	X(STEERED_ICMP, "steered_icmp",                                                            \
	  "ICMP error about what a relayed port sent: handed to a worker")                         \
	X(STEERED_FRAGMENT, "steered_fragment", "IP fragment of ours: handed to a worker")         \
	X(DROPPED_NO_WORKER, "dropped_no_worker", "ours, but no worker is attached to the queue")  \
	X(DROPPED_MALFORMED_UDP, "dropped_malformed_udp",                                          \
	  "IP or UDP header of a packet of ours is cut short or contradicts its length")           \
	X(DROPPED_MALFORMED_STUN, "dropped_malformed_stun",                                        \
	  "STUN header, magic cookie, length or attribute is wrong")                               \
	X(DROPPED_MALFORMED_CHANNEL, "dropped_malformed_channel",                                  \
	  "ChannelData announces more bytes than the datagram holds")                              \
	X(DROPPED_FINGERPRINT, "dropped_fingerprint", "STUN FINGERPRINT does not match")           \
	X(DROPPED_SOURCE, "dropped_source",                                                        \
	  "source is port 0, our own address, or one that no host can have")                       \
	X(DROPPED_UNWANTED, "dropped_unwanted", "a protocol that the listener does not speak")     \
	X(DROPPED_OVER_RATE, "dropped_over_rate", "the source's prefix sends too many requests")   \
	X(DROPPED_UNPAID, "dropped_unpaid",                                                        \
	  "the source's prefix has got more bytes of Binding answers than it sent")                \
	X(DROPPED_NO_ROOM, "dropped_no_room", "the driver left no headroom for the answer")        \
	X(GUARD_DROPPED, "guard_dropped",                                                          \
	  "ours, but no filter was attached: the ingress guard kept it from the kernel")

#define XDP_COUNTER_ENUM(id, name, text) XDP_COUNTER_##id,
enum xdp_counter { XDP_COUNTERS(XDP_COUNTER_ENUM) XDP_COUNTER_COUNT };
#undef XDP_COUNTER_ENUM
#define XDP_COUNTER_FILTER_COUNT XDP_COUNTER_GUARD_DROPPED // those of the XDP program alone

// tp_settings, array of one.
// off size field              writer  meaning
//   0    4 version            cp      XDP_FILTER_MAPS_VERSION; 0: not configured yet
//   4    4 flags              cp      XDP_FILTER_F_*
//   8    8 rate_per_sec       cp      requests per second and source prefix; 0: no limit
//  16    8 rate_burst         cp      requests at once
//  24   16 rate_mask_v6       cp      network order, cuts an IPv6 source to its prefix
//  40    4 rate_mask_v4       cp      network order, the same for IPv4
//  44    4 software_bytes     cp      bytes of SOFTWARE in answers, padding included; 0: none
//  48   32 software           cp      zero padded
//  80    2 software_length    cp      bytes of SOFTWARE without padding
//  82    1 rate_prefix_v4     cp      bits, as configured
//  83    1 rate_prefix_v6     cp      bits, as configured
//  84    4 answer_credit      cp      bytes that a prefix may get beyond those it sent; 0: no limit
struct xdp_filter_settings {
	uint32_t version;
	uint32_t flags;
	uint64_t rate_per_sec;
	uint64_t rate_burst;
	uint32_t rate_mask_v6[4];
	uint32_t rate_mask_v4;
	uint32_t software_bytes;
	uint32_t software[XDP_FILTER_SOFTWARE_MAX / 4];
	uint16_t software_length;
	uint8_t rate_prefix_v4;
	uint8_t rate_prefix_v6;
	uint32_t answer_credit;
};
xdp_static_assert(sizeof(struct xdp_filter_settings) == 88, "bump XDP_FILTER_MAPS_VERSION");

// Key of tp_locals, and of the rate buckets.
// off size field              writer  meaning
//   0   16 address            cp      network order; IPv4 is held IPv4-mapped
struct xdp_filter_address {
	uint32_t address[4];
};
xdp_static_assert(sizeof(struct xdp_filter_address) == 16, "bump XDP_FILTER_MAPS_VERSION");

// tp_locals, hash by xdp_filter_address.
// off size field              writer  meaning
//   0    4 flags              cp      XDP_LOCAL_F_*
//   4    2 relay_port_min     cp      host order, inclusive
//   6    2 relay_port_max     cp      host order, inclusive
struct xdp_filter_local {
	uint32_t flags;
	uint16_t relay_port_min;
	uint16_t relay_port_max;
};
xdp_static_assert(sizeof(struct xdp_filter_local) == 8, "bump XDP_FILTER_MAPS_VERSION");

// Key of tp_listeners.
// off size field              writer  meaning
//   0   16 address            cp      as in tp_locals
//  16    2 port_be            cp      network order
//  18    2 reserved           cp      0
struct xdp_filter_listener_key {
	uint32_t address[4];
	uint16_t port_be;
	uint16_t reserved;
};
xdp_static_assert(sizeof(struct xdp_filter_listener_key) == 20, "bump XDP_FILTER_MAPS_VERSION");

// tp_listeners, hash by xdp_filter_listener_key.
// off size field              writer  meaning
//   0    4 accept             cp      XDP_ACCEPT_*
//   4    2 other_port_be      cp      RFC 5780's other port; 0: no NAT behaviour discovery here
//   6    2 reserved           cp      0
//   8   16 other_address      cp      RFC 5780's other address, as in tp_locals, of the same family
struct xdp_filter_listener {
	uint32_t accept;
	uint16_t other_port_be;
	uint16_t reserved;
	uint32_t other_address[4];
};
xdp_static_assert(sizeof(struct xdp_filter_listener) == 24, "bump XDP_FILTER_MAPS_VERSION");

// tp_rate, LRU hash by xdp_filter_address (the source cut to its prefix).
// off size field              writer  meaning
//   0    8 filled_at_ns       xdp     CLOCK_MONOTONIC (coarse) of the last refill
//   8    8 tokens_nano        xdp     requests that may pass now, in 1e-9
//  16    8 credit_nano        xdp     bytes of answers beyond those that requests bring, in 1e-9
struct xdp_filter_bucket {
	uint64_t filled_at_ns;
	uint64_t tokens_nano;
	uint64_t credit_nano;
};
xdp_static_assert(sizeof(struct xdp_filter_bucket) == 24, "bump XDP_FILTER_MAPS_VERSION");

// Key of tp_fragments, an LRU hash of datagrams whose first fragment went to a port of the
// kernel's; the value is one unused byte.
// off size field              writer  meaning
//   0   16 source             xdp     as in tp_locals
//  16   16 destination        xdp     as in tp_locals
//  32    4 identification     xdp     as it lies in the packet
struct xdp_filter_fragment_key {
	uint32_t source[4];
	uint32_t destination[4];
	uint32_t identification;
};
xdp_static_assert(sizeof(struct xdp_filter_fragment_key) == 36, "bump XDP_FILTER_MAPS_VERSION");

#endif
