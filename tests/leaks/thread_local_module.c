/* Its thread-local storage is made when a thread first asks for it. */
static __thread void **variable, *filler[100];

void ***place(void);
void ***place(void) {
  filler[0] = 0;
  return &variable;
}
