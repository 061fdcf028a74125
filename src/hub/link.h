/* link.h: the Link header of an answer: where a listing goes on. */
#ifndef HUB_LINK_H
#define HUB_LINK_H

#include "base/strv.h"

/* The target that one header marks as the next page, as it stands there; {NULL,0}: none. */
strv link_next(strv header);

#endif
