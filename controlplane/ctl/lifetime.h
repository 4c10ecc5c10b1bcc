// Lifetimes as they are written on the command line.
#ifndef TP_CTL_LIFETIME_H
#define TP_CTL_LIFETIME_H

// Seconds of "3600", "90m", "12h", "30d", up to ten years; -1 for anything else.
long long ctl_lifetime(const char *text);

#endif
