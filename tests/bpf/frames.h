// Ethernet frames for the tests of the filter, built field by field from a description, so that
// each test says only what differs from a plain STUN Binding request. Written apart from the
// filter's own code; the checksums come from the contract's wire library.
#ifndef TP_TESTS_BPF_FRAMES_H
#define TP_TESTS_BPF_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/contract/wire/ip_udp.h"

#define FRAME_BYTES_MAX 2048

struct frame {
	uint32_t n_bytes;
	uint8_t bytes[FRAME_BYTES_MAX];
};

// All zero: client 198.18.0.10:40000 (or fd00:18::10) to the relay's listener, no payload.
struct frame_spec {
	const char *source;      // "addr:port"; NULL: the client, of the family of `destination`
	const char *destination; // NULL: RELAY_V4
	const void *payload;
	uint32_t payload_bytes;

	uint32_t n_vlan_tags;
	uint16_t vlan_tci;
	uint16_t ethertype;        // host order; 0: by family
	uint32_t options_bytes;    // IPv4 options (no-operation), multiple of 4
	const uint8_t *extensions; // IPv6: types of the extension headers before UDP
	uint32_t n_extensions;
	uint16_t fragment; // IPv4: the field, host order; IPv6: offset and M of a fragment header
	bool has_fragment_header; // IPv6
	uint32_t identification;
	uint8_t protocol;         // 0: UDP
	int32_t udp_length_error; // added to the UDP length
	int32_t ip_length_error;  // added to the IP length
	bool no_udp_header;       // later fragment: the payload follows the IP header
	bool zero_udp_checksum;
	bool bad_ip_checksum;
	bool multicast_link;
};

#define CLIENT_V4  "198.18.0.10:40000"
#define CLIENT_V6  "[fd00:18::10]:40000"
#define RELAY_V4   "198.18.0.2:3478"
#define RELAY_V6   "[fd00:18::2]:3478"
#define RELAYED_V4 "198.18.0.3:50000"
#define RELAYED_V6 "[fd00:18::2]:50000"

void frame_build(struct frame *f, const struct frame_spec *spec);

// A STUN message in a caller's buffer.
struct message {
	uint32_t n_bytes;
	uint8_t bytes[1024];
};
void message_begin(struct message *m, uint16_t type);
void message_attr(struct message *m, uint16_t type, const void *value, uint16_t length);
void message_fingerprint(struct message *m);
// A Binding request without attributes.
void message_binding(struct message *m);

#endif
