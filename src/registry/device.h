/* device.h: what this machine has. */
#ifndef REGISTRY_DEVICE_H
#define REGISTRY_DEVICE_H

#include <stdint.h>

/* Memory that a process here can have at most: the machine's, or less where a control group limits
 * it. Not what is free now. 0: the system does not tell. Thread any. */
uint64_t device_memory_bytes(void);

#endif
