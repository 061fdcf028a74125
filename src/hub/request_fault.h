/* request_fault.h: what an answer that is no success means, in the Hub's taxonomy. */
#ifndef HUB_REQUEST_FAULT_H
#define HUB_REQUEST_FAULT_H

#include "hub/request.h"

/* Fills fault and err from an answer whose status is not 2xx. from: whose it is: a storage that a
 * signed URL led to knows nothing of repositories. -> the error's code */
mlxe_status answer_fault(hub *h, const http_answer *a, request_from from, const char *where,
                         hub_fault *fault, mlxe_error *err);
/* What ends a row of tries: the last failure, or that nobody waits any longer. -> code */
mlxe_status stop_error(const requester *r, hub_fault *fault, mlxe_status last, mlxe_error *err);
/* X-HF-Warning "topic; message": to the log, once a topic. */
void warnings_show(hub *h, const http_answer *a);

#endif
