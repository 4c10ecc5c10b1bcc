// A real engine on segments of its own, and clients that send it real, signed requests.
#ifndef TP_TESTS_ENGINE_FIXTURE_H
#define TP_TESTS_ENGINE_FIXTURE_H

#include "controlplane/engine.h"

#define FIXTURE_LISTENER "198.18.0.2:3478"
#define FIXTURE_USER     "lab"

// Opens an engine over a fresh directory: user lab, listeners 198.18.0.2 and fd00:18::2, relay 198.18.0.3 and
// fd00:18::2, peers 198.18.0.0/15 and fd00:18::/32 allowed but 198.18.7.0/24, `more` appended to the configuration. Its dataplane
// seems alive.
void fixture_open(struct engine *e, const char *more);
void fixture_close(struct engine *e);
// Sets what the dataplane tells about itself.
void fixture_dataplane(struct engine *e, uint32_t phase, uint64_t heartbeat_ns);

struct ip_endpoint fixture_endpoint(const char *text);
// From now on requests come over TLS, on the stream of that idx; 0: over UDP again.
void fixture_use_stream(uint32_t idx);
// Each returns the code of the error answer, 0 for success.
int fixture_allocate(struct engine *e, const char *client, bool is_v6);
int fixture_refresh(struct engine *e, const char *client, uint32_t lifetime_s);
int fixture_permit(struct engine *e, const char *client, const char *peer);
int fixture_bind(struct engine *e, const char *client, uint16_t channel, const char *peer);
// Of a live allocation.
struct turn_allocation_info fixture_info(struct engine *e, const char *client);
// The published flow entry of that kind, 0 when there is none. `peer` for CHANNEL may be NULL.
uint32_t fixture_flow(struct engine *e, const char *client, uint8_t kind, const char *peer,
		      uint16_t channel);

#endif
