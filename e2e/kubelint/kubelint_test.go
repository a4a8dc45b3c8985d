// Package kubelint holds deploy/kubernetes.yaml to the types that Kubernetes publishes: what is not a field of theirs, or
// is there twice, is an error. It is a module of its own, so that who imports xdplog does not get Kubernetes to know: make test runs it.
package kubelint

import (
	"os"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func TestKubernetes(t *testing.T) {
	text, err := os.ReadFile("../../deploy/kubernetes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	documents := strings.Split(string(text), "\n---\n")
	if len(documents) != 2 {
		t.Fatalf("%d documents, want a namespace and a DaemonSet", len(documents))
	}
	var namespace corev1.Namespace
	if err := yaml.UnmarshalStrict([]byte(documents[0]), &namespace); err != nil {
		t.Fatal(err)
	}
	var set appsv1.DaemonSet
	if err := yaml.UnmarshalStrict([]byte(documents[1]), &set); err != nil {
		t.Fatal(err)
	}
	if set.Kind != "DaemonSet" || set.APIVersion != "apps/v1" || set.Namespace != namespace.Name {
		t.Errorf("a %s %s in %q", set.APIVersion, set.Kind, set.Namespace)
	}
	template := set.Spec.Template
	for name, value := range set.Spec.Selector.MatchLabels {
		if template.Labels[name] != value {
			t.Errorf("its pods have no label %s=%s", name, value)
		}
	}
	if len(template.Spec.Containers) != 1 {
		t.Fatalf("%d containers", len(template.Spec.Containers))
	}
	pod, container := template.Spec, template.Spec.Containers[0]
	port := container.Ports[0]
	if !pod.HostNetwork || pod.HostPID || port.HostPort != port.ContainerPort || template.Annotations["prometheus.io/port"] != "10937" || port.ContainerPort != 10937 {
		t.Errorf("network %v, port %v, annotations %v", pod.HostNetwork, port, template.Annotations)
	}
	if pod.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("seccomp %v", pod.SecurityContext.SeccompProfile)
	}
	security := container.SecurityContext
	if *security.Privileged || *security.AllowPrivilegeEscalation || !*security.ReadOnlyRootFilesystem {
		t.Errorf("security context %+v", security)
	}
	if got := security.Capabilities; !slices.Equal(got.Drop, []corev1.Capability{"ALL"}) || !slices.Equal(got.Add, []corev1.Capability{"BPF", "NET_ADMIN", "PERFMON"}) {
		t.Errorf("capabilities %v", got)
	}
	if container.Resources.Limits.Memory().IsZero() {
		t.Error("memory has no bound")
	}
	if probe := container.LivenessProbe; probe == nil || probe.HTTPGet.Path != "/healthz" || probe.HTTPGet.Port.StrVal != port.Name {
		t.Errorf("liveness probe %v", probe)
	}
}
