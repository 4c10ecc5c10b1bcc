// Tests of one section: the least configuration that is whole, and the section behind it.
#ifndef TP_TEST_CONFIG_SECTION_FIXTURE_H
#define TP_TEST_CONFIG_SECTION_FIXTURE_H

#include "controlplane/config/config.h"

// What stands before each section; each test file says what. This one ends with `listeners`, so that a section may add to
// them; its first entry is listeners[0], in line 6, and what comes behind it begins in line 7.
extern const char section_head[];
#define SECTION_HEAD                                                                               \
	"realm: relay.example\n"                                                                   \
	"relay: {addresses: [192.0.2.2, \"2001:db8::2\"]}\n"                                       \
	"users: [{name: alice, password: secret}]\n"                                               \
	"ports: [{device: af_xdp, interface: eth7}]\n"                                             \
	"listeners:\n"                                                                             \
	"  - {address: 192.0.2.1}\n"

// What the last one was refused for, with the file's name; "" if it was not.
extern char section_error[512];

// Reads the head and `section` as one file; NULL: it was refused.
struct config *section_parse(const char *section);
// The same, and the test ends here where it is refused.
struct config *section_accepted(const char *section);
// The test ends here where it is not refused, or for something else.
void section_refused(const char *section, const char *expected);

#endif
