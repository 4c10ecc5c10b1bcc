// Which clients are sent to another server. Private to turn/. Control plane's loop thread.
#ifndef TP_TURN_REDIRECT_H
#define TP_TURN_REDIRECT_H

#include "controlplane/config/config.h"

struct turn_call;

enum turn_redirection {
	TURN_REDIRECT_STAYS = 0,
	TURN_REDIRECT_GOES,    // to the alternate server in *out
	TURN_REDIRECT_NOWHERE, // we drain, and no alternate server has the client's family
};
// Of an Allocate that is authenticated and within its quota.
enum turn_redirection turn_redirect(const struct turn_call *c, const struct config_alternate **out);

#endif
