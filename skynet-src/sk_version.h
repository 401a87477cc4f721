/* sk_version.h: the version of this program; the only place that says it. */
#ifndef SK_VERSION_H
#define SK_VERSION_H

#define SK_VERSION "0.1.0"

#endif
