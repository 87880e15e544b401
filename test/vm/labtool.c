/* labtool: what a VM case needs in the guest, small, static and (where it must not stall) locked in memory.
 *   gcc -O2 -static -o labtool labtool.c
 *
 *  sample OUT.tsv [MS]               locked SCHED_FIFO recorder of meminfo and PSI, every MS (10) ms
 *  hb OUT.tsv [MS] [CMD...]          heartbeat each MS (100); with CMD forks and execs it every beat, as a login would
 *  balloon MB_PER_S MAX_MB [FIRST_MB [ignore]]  grow anonymous memory, the first FIRST_MB at once, the rest at that rate
 *                                    (0: as fast as possible), then hold; "ignore" SIGTERM
 *  bomb COUNT MB PER_S SECS          fork COUNT children of MB each, PER_S a second; who still lives after SECS exits
 *  files FILE PAGES_PER_S            touch random pages of a mapped file: a file-backed working set
 *  guard SECS CGROUP                 locked: wait for CGROUP to empty; after SECS write its cgroup.kill
 *
 * All times are CLOCK_MONOTONIC seconds (= uptime, = dmesg and journal short-monotonic). */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
#include <errno.h>
#include <time.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sys/syscall.h>
static double now(void){struct timespec t;clock_gettime(CLOCK_MONOTONIC,&t);return t.tv_sec+t.tv_nsec/1e9;}
static void until(double t){struct timespec s;s.tv_sec=(long)t;s.tv_nsec=(long)((t-(long)t)*1e9);
  while(clock_nanosleep(CLOCK_MONOTONIC,TIMER_ABSTIME,&s,0)==EINTR);}
static int rd(int fd,char*b,int n){int r=pread(fd,b,n-1,0);b[r>0?r:0]=0;return r;}
static double val(const char*b,const char*k){const char*p=strstr(b,k);return p?atof(p+strlen(k)):-1;}
static void out(int fd,const char*b,int n){if(write(fd,b,n)!=n)perror("write");}

static volatile sig_atomic_t stop;static void onterm(int s){stop=s;}
static int sample(const char*f,int ms){
  /* Keep samples in a locked buffer and write in blocks: the disk must not slow the sampler. */
  static char buf[1<<20];int o=open(f,O_CREAT|O_WRONLY|O_TRUNC,0644),n=0;char b[8192];
  int mi=open("/proc/meminfo",0),pm=open("/proc/pressure/memory",0),pi=open("/proc/pressure/io",0);
  mlockall(MCL_CURRENT|MCL_FUTURE);struct sched_param sp={.sched_priority=10};sched_setscheduler(0,SCHED_FIFO,&sp);
  signal(SIGTERM,onterm);
  n=sprintf(buf,"t\tavail_kb\tanon_kb\tswapfree_kb\tsome10\tfull10\tfull_us\tio_full10\n");
  double t=now(),last=t;
  for(;;){rd(mi,b,sizeof b);double a=val(b,"MemAvailable:"),fr=val(b,"AnonPages:"),sw=val(b,"SwapFree:");
    rd(pm,b,sizeof b);double s10=val(b,"some avg10=");char*q=strstr(b,"full");double f10=q?val(q,"avg10="):-1,ft=q?val(q,"total="):-1;
    rd(pi,b,sizeof b);q=strstr(b,"full");double io=q?val(q,"avg10="):-1;
    n+=sprintf(buf+n,"%.4f\t%.0f\t%.0f\t%.0f\t%.2f\t%.2f\t%.0f\t%.2f\n",now(),a,fr,sw,s10,f10,ft,io);
    if(n>(int)sizeof buf-512||now()-last>2||stop){out(o,buf,n);n=0;last=now();if(stop)return 0;}
    t+=ms/1e3;if(t<now()-0.5)t=now();until(t);}
}
static int hb(const char*f,int ms,char**cmd){
  int o=open(f,O_CREAT|O_WRONLY|O_TRUNC,0644);double t=now();char b[64];
  for(;;){double t0=now();
    if(cmd[0]){pid_t p=fork();if(!p){int z=open("/dev/null",1);dup2(z,1);execvp(cmd[0],cmd);_exit(127);}
      if(p>0)waitpid(p,0,0);}
    out(o,b,sprintf(b,"%.4f\t%.4f\n",t0,now()-t0));
    t+=ms/1e3;if(t<now())t=now();until(t);}
}
static int balloon(double rate,long max,long first,int ignore){
  double t0=now(),next=t0;if(ignore)signal(SIGTERM,SIG_IGN);printf("balloon pid %d start %.4f\n",getpid(),t0);fflush(stdout);
  for(long i=0;i<max;i++){char*p=mmap(0,1<<20,3,MAP_PRIVATE|MAP_ANONYMOUS,-1,0);
    if(p==MAP_FAILED){perror("mmap");break;}
    for(int k=0;k<1<<20;k+=4096)*(long*)(p+k)=(long)p+k+i; /* distinct data: no KSM/zram free ride */
    if(rate>0&&i>=first){if(i==first)next=now();next+=1/rate;if(next>now())until(next);}
    if(i%100==99){printf("balloon %ld MB at %.4f\n",i+1,now());fflush(stdout);}}
  pause();return 0;
}
static int bomb(long count,long mb,double rate,double secs){
  double t0=now();printf("bomb pid %d start %.4f\n",getpid(),t0);fflush(stdout);
  /* Not reaped before the last is forked: the kills don't make the parent fork faster or slower. */
  for(long i=0;i<count;i++){if(!fork()){double left=t0+secs-now();alarm(left>1?left:1);balloon(0,mb,0,0);_exit(0);}until(t0+(i+1)/rate);}
  while(wait(0)>0);return 0;
}
static int files(const char*f,double rate){
  int fd=open(f,0);long sz=lseek(fd,0,SEEK_END)/4096;double t=now();volatile char x;if(sz<1)return 1;
  char*p=mmap(0,sz*4096,PROT_READ,MAP_SHARED,fd,0);madvise(p,sz*4096,MADV_RANDOM);
  for(;;){for(int i=0;i<rate/100;i++)x=p[(((long)rand()<<15^rand())%sz)*4096];(void)x;
    t+=0.01;if(t<now())t=now();until(t);}
}
static int guard(double secs,const char*cg){
  char b[256];snprintf(b,sizeof b,"%s/cgroup.kill",cg);int k=open(b,O_WRONLY);
  snprintf(b,sizeof b,"%s/cgroup.events",cg);int e=open(b,0);int fired=0;
  mlockall(MCL_CURRENT|MCL_FUTURE);struct sched_param sp={.sched_priority=5};sched_setscheduler(0,SCHED_FIFO,&sp);
  for(double t0=now();rd(e,b,sizeof b)>0&&val(b,"populated ")!=0;until(now()+0.02))
    if(!fired&&now()-t0>secs){fired=1;out(k,"1",1);}
  printf("%.4f guard: %s\n",now(),fired?"NOBODY KILLED IT IN TIME; guard did":"scope empty");return 0;
}
int main(int c,char**v){char*m=c>1?v[1]:"";
  if(!strcmp(m,"sample")&&c>2)return sample(v[2],c>3?atoi(v[3]):10);
  if(!strcmp(m,"hb")&&c>2)return hb(v[2],c>3?atoi(v[3]):100,c>4?v+4:v+c);
  if(!strcmp(m,"balloon")&&c>3)return balloon(atof(v[2]),atol(v[3]),c>4?atol(v[4]):0,c>5);
  if(!strcmp(m,"bomb")&&c>5)return bomb(atol(v[2]),atol(v[3]),atof(v[4]),atof(v[5]));
  if(!strcmp(m,"files")&&c>3)return files(v[2],atof(v[3]));
  if(!strcmp(m,"guard")&&c>3)return guard(atof(v[2]),v[3]);
  fputs("see the head of labtool.c\n",stderr);return 2;}
